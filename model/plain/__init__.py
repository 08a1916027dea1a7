"""A version as a network of its library's own, in files that need nothing of this package."""
