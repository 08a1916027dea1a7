"""A measure that runs only where it is asked for."""

from backend.bench.figures import Row

ON_REQUEST = True
ROWS = ("heavy.row",)


def measure(bench):
    """One row."""
    yield Row.at_most("heavy.row", 1.0, "s", f"a pool of {bench.rows}")
