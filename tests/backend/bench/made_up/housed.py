"""A measure that needs a Label Studio."""

HOUSE = True
ROWS = ("housed.row",)


def measure(bench, house):
    """No row: there is no Label Studio."""
    raise AssertionError((bench, house))
    yield
