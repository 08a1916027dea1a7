"""What a strategy is: a score for a task by itself, and the order in which a batch is picked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query

Score = Callable[[Query], NDArray[np.float64]]
Pick = Callable[[Query, int], NDArray[np.int64]]

CHOICE_OF_SCORES = 50  # x size: how much of an order a wrapper may choose from; a longer one costs a sort ...
CHOICE_OF_PICKS = 3  # ... and here as many more picks


class StrategyError(ValueError):
    """A strategy that does not exist, cannot be imported, or fails; the message names what there is, or what is wrong."""


@dataclass(frozen=True)
class Strategy:
    """score: pointwise, float64 of shape (N,) in [0, 1], lowest first; a task has the same score alone as in a batch.
    pick: indices of at most `size` of the N images, best first; None picks the lowest scores, ties by `query.hashes`.
    headless: whether the order means something before a head can tell classes apart, that is without probabilities.
    """

    score: Score
    pick: Pick | None = None
    headless: bool = False

    def order(self, query: Query, size: int) -> NDArray[np.int64]:
        """Indices of min(size, N) images, int64, best first."""
        size = min(size, len(query))
        if size <= 0:
            return np.zeros(0, np.int64)
        return self.pick(query, size) if self.pick else lowest(self.score(query), query.hashes, size)

    def choice(self, query: Query, size: int) -> NDArray[np.int64]:
        """The start of the order among which a wrapper finds its `size` picks."""
        return self.order(query, size * (CHOICE_OF_PICKS if self.pick else CHOICE_OF_SCORES))


def lowest(scores: NDArray[np.float64], hashes: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """Indices of the `size` lowest scores, lowest first, ties by hash; both arrays of shape (N,). O(N log N)."""
    return np.lexsort((hashes, scores))[:size]
