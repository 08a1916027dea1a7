"""Which letters stand for which image of a group, so that it can be taken out by keyboard."""

LETTERS = "abcdefghijklmnopqrtvwxyz"  # S skips and U undoes


def codes(count: int) -> list[str]:
    """A code for each of `count` images: one letter as far as they go, two for the last ones; none begins another."""
    pairs = next(pairs for pairs in range(len(LETTERS) + 1) if len(LETTERS) - pairs + pairs * len(LETTERS) >= count)
    singles = LETTERS[: len(LETTERS) - pairs]
    doubles = [first + second for first in LETTERS[len(singles) :] for second in LETTERS]
    return [*singles, *doubles][:count]
