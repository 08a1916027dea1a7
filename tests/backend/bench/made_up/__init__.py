"""Measures whose figures are known beforehand, in place of those that take minutes."""
