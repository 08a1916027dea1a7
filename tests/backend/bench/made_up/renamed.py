"""A measure whose row has another name than it promises."""

from backend.bench.figures import Row

ROWS = ("renamed.old",)


def measure(_):
    """A row of another name."""
    yield Row.at_most("renamed.new", 1.0, "s", "nothing")
