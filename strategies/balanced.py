"""Class balance, a wrapper for any strategy: picks that lean to a few classes cost more than they teach.

On ImageNet popular strategies lose to random for that reason (Emam 2111.12880).
"""

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import rowwise
from strategies.query import Query
from strategies.strategy import Strategy


def balanced(inner: Strategy) -> Strategy:
    """`inner` with its picks spread over the predicted classes.

    Next comes the first image, in inner's order, of the class that is furthest behind: the fewest labels and picks so far,
    among the classes that the start of inner's order still holds (`Strategy.choice`). O(size (C + log C)).
    """

    def pick(query: Query, size: int) -> NDArray[np.int64]:
        order = inner.choice(query, size)
        return order[_take_turns(_predicted(query, order), _labels(query), size)]

    return Strategy(inner.score, pick, inner.headless)


def _take_turns(classes: NDArray[np.int64], counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Positions in `classes`, at most `size`: each time the first that is left of the class with the lowest count, ties to
    the one that comes first."""
    waiting = {int(c): iter(np.flatnonzero(classes == c).tolist()) for c in np.unique(classes)}
    heap = [(int(counts[c]), next(positions), c) for c, positions in waiting.items()]
    heapify(heap)
    taken: list[int] = []
    while heap and len(taken) < size:
        count, position, c = heappop(heap)
        taken.append(position)
        following = next(waiting[c], None)
        if following is not None:
            heappush(heap, (count + 1, following, c))
    return np.array(taken, np.int64)


def _predicted(query: Query, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rowwise(lambda p: p.argmax(axis=1), query.probabilities[rows])


def _labels(query: Query) -> NDArray[np.int64]:
    labels = np.zeros(0, np.int64) if query.labels is None else query.labels
    if labels.ndim > 1:  # sets of classes
        return labels.sum(axis=0)
    return np.bincount(labels, minlength=query.probabilities.shape[1])
