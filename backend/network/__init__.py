"""Addresses, and the way to them: what may be asked, through which proxy, until when. Knows nothing of Label Studio."""
