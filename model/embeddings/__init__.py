"""From an image's bytes to its embedding in a store that any worker may add to."""
