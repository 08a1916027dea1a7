"""k-center, or core-set, by greedy farthest first (Gonzalez 1985; Sener & Savarese 1708.00489): cover the pool."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import chunks
from strategies.arrays.estimates import Estimates
from strategies.arrays.vectors import Floats, nearest_squared_distance, squares, to_labelled
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy

CANDIDATES = 10  # x size: images among which the next picks are sought ...
AT_LEAST, AT_MOST = 1000, 4000  # ... but at least and at most so many
SLACK = 0.95  # squared distances may be estimated so much too large


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """Repeat: the image farthest from its nearest labelled image or pick; ties, and the first of all, by the task's hash.

    Distances only shrink as picks are made. So only those of a few thousand of the farthest images are kept up to date, and the
    rest is looked at again when none of these lies farther than all of the rest did: the picks stay the same (as in the lazy
    greedy of Minoux 1978). Of pools of more than 20,000 images, estimates (`estimates.py`) tell which are looked at, and the
    distances of those are exact; of 40,000 made of ResNet50 embeddings all 200 picks were those of exact distances.

    O(N (M + size) d) in the d dimensions of the estimates and O((M + size) D) for each image looked at.
    """
    estimates = Estimates(query)
    nearest: Floats = np.full(len(query), np.inf, np.float32)
    for rows in chunks(query.labelled_count, estimates.dimensions):
        np.minimum(nearest, estimates.nearest(query.labelled_vectors(rows)), out=nearest)
    picks: NDArray[np.int64] = np.zeros(0, np.int64)
    while True:
        candidates, beyond = _farthest(nearest, query.hashes, int(np.clip(size * CANDIDATES, AT_LEAST, AT_MOST)))
        vectors, own = query.vectors(candidates), nearest[candidates]
        if not estimates.exact:
            true = np.minimum(to_labelled(query, vectors), nearest_squared_distance(vectors, query.vectors(picks)))
            own = np.where(own < 0, own, true)
        enough = beyond if estimates.exact else SLACK * beyond
        new = _greedy(vectors, own, query.hashes[candidates], size - len(picks), enough)
        picks = np.concatenate([picks, candidates[new]])
        if len(picks) == size:
            return picks
        nearest[candidates] = own
        np.minimum(nearest, estimates.nearest(vectors[new]), out=nearest)


def _farthest(nearest: Floats, hashes: NDArray[np.float64], count: int) -> tuple[NDArray[np.int64], float]:
    """Positions of the `count` largest of `nearest`, (N,), in order, ties by hash; and the largest of the others."""
    if len(nearest) <= count:
        return np.arange(len(nearest)), -np.inf
    beyond = np.partition(nearest, len(nearest) - 1 - count)[len(nearest) - 1 - count]
    above, equal = np.flatnonzero(nearest > beyond), np.flatnonzero(nearest == beyond)
    equal = equal[np.argsort(hashes[equal])[: count - len(above)]]
    return np.sort(np.concatenate([above, equal])), float(beyond)


def _greedy(vectors: Floats, nearest: Floats, hashes: NDArray[np.float64], size: int, enough: float) -> NDArray[np.int64]:
    """Positions of at most `size` of n images, farthest first: one, and more as long as they lie farther than `enough`.

    nearest: squared distances to the nearest labelled image or pick, (n,); kept up to date, and -1 for what is picked.
    """
    lengths = squares(vectors)
    picks: list[int] = []
    while len(picks) < size:
        farthest = np.flatnonzero(nearest == nearest.max())
        pick = farthest[hashes[farthest].argmin()]
        if picks and nearest[pick] <= enough:
            break
        picks.append(int(pick))
        np.minimum(nearest, np.maximum(lengths + lengths[pick] - 2 * (vectors @ vectors[pick]), 0), out=nearest)
        nearest[picks] = -1  # rounding must not bring one back
    return np.array(picks, np.int64)


k_center = Strategy(margin, _pick, headless=True)
