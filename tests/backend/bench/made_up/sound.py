"""A measure that works."""

from backend.bench.figures import Row

ROWS = ("sound.fast", "sound.slow", "sound.ratio")


def measure(bench):
    """Three rows; writes into its folder, as measures do."""
    (bench.folder / "scratch").write_text("")
    yield Row.at_most("sound.fast", 1.0, "s", "a hare", 2.0)
    yield Row.at_most("sound.slow", 3.0, "s", "a hare", 2.0)
    yield Row.at_least("sound.ratio", 3.0, "x", "a snail")
