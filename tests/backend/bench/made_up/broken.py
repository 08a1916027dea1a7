"""A measure that fails after its first row."""

from backend.bench.figures import Row

ROWS = ("broken.first", "broken.second")


def measure(_):
    """One row, then an error."""
    yield Row.at_most("broken.first", 1.0, "s", "nothing")
    raise RuntimeError("the wheel came off")
