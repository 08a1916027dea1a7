"""All that is said to Label Studio; the only room that knows its API."""
