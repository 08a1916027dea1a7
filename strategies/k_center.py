"""k-center, or core-set, by greedy farthest first (Gonzalez 1985; Sener & Savarese 1708.00489): cover the pool."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.vectors import compact, nearest_squared_distance, squares
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """Repeat: the image farthest from its nearest labelled image or pick; ties, and the first of all, by the task's hash.

    O(N (M + size) D); pools of more than 20,000 images by a random projection (`vectors.compact`).
    """
    both = compact(query)
    pool = both[: len(query)]
    nearest = nearest_squared_distance(pool, both[len(query) :])
    lengths = squares(pool)
    picks = np.empty(size, np.int64)
    for rank in range(size):
        farthest = np.flatnonzero(nearest == nearest.max())
        pick = picks[rank] = farthest[query.hashes[farthest].argmin()]
        np.minimum(nearest, np.maximum(lengths + lengths[pick] - 2 * (pool @ pool[pick]), 0), out=nearest)
        nearest[picks[: rank + 1]] = -1  # rounding must not bring one back
    return picks


k_center = Strategy(margin, _pick, headless=True)
