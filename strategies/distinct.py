"""A filter of near-duplicates, a wrapper for any strategy: what looks like a pick or a labelled image teaches nothing new."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.vectors import Floats, nearest_squared_distance, squared_distances, to_labelled
from strategies.query import Query
from strategies.strategy import CHOICE_OF_SCORES, Strategy, lowest

BLOCK = 512  # images read at a time
SAMPLE = 1000  # images whose distances tell tau
QUANTILE, SHARE = 0.1, 0.55  # what tau is made of


def distinct(inner: Strategy) -> Strategy:
    """`inner` without images nearer than tau to an earlier pick or to a labelled image.

    They come last rather than never, so any size can be had. Looks at the start of inner's order (`Strategy.choice`), then at
    its lowest scores, and only until there are enough: O(n (M + size) D) for n images looked at.
    """

    def pick(query: Query, size: int) -> NDArray[np.int64]:
        tau = near_duplicate_distance(query)
        for order in _longer_and_longer(inner, query, size):
            kept = _without_near_duplicates(query, order, tau, size)
            if len(kept) == size:
                break
        return np.concatenate([kept, order[~np.isin(order, kept)]])[:size]

    return Strategy(inner.score, pick, inner.headless)


def _longer_and_longer(inner: Strategy, query: Query, size: int) -> Iterator[NDArray[np.int64]]:
    """Inner's order, its start among more, and where that is made of picks, with the lowest scores behind it."""
    yield inner.order(query, size)
    yield (order := inner.choice(query, size))
    if inner.pick:
        scores = lowest(inner.score(query), query.hashes, size * CHOICE_OF_SCORES)
        yield np.concatenate([order, scores[~np.isin(scores, order)]])


def _without_near_duplicates(query: Query, order: NDArray[np.int64], tau: float, size: int) -> NDArray[np.int64]:
    """The first `size` of `order`, int64 (n,), that are at least tau from those before and from the labelled images."""
    kept: NDArray[np.int64] = np.zeros(0, np.int64)
    vectors: Floats = np.zeros((0, query.vectors(slice(0, 0)).shape[1]), np.float32)
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        candidates = query.vectors(block)
        nearest = np.minimum(to_labelled(query, candidates), nearest_squared_distance(candidates, vectors))
        new = _apart(candidates, nearest >= tau**2, tau)
        kept, vectors = np.concatenate([kept, block[new]]), np.vstack([vectors, candidates[new]])
        if len(kept) >= size:
            break
    return kept[:size]


def near_duplicate_distance(query: Query) -> float:
    """tau: 0.55 of the 10th percentile of the distances between images of one predicted class, of a sample of the pool; 0 where
    there are no such pairs.

    It looks at pairs of a class rather than at nearest neighbours, so it stays where it is when the pool holds copies of each
    image, and shrinks with the classes when a backbone draws them together. Measured on ResNet50 embeddings of 150 food photos
    with 0, 1 and 5 copies each (crops of 85 to 95 %, mirrored, JPEG quality 30 to 70): tau is 0.446, 0.446 and 0.444; nine in
    ten copies lie nearer to their original, no different image does: the nearest lie at 0.55 and more.
    """
    rows = np.arange(len(query))
    if len(rows) > SAMPLE:
        rows = np.sort(query.generator("distinct").choice(rows, SAMPLE, replace=False))
    predicted = query.probabilities[rows].argmax(axis=1)
    vectors = query.vectors(rows)
    pairs = np.triu(predicted[:, None] == predicted, k=1)
    return SHARE * float(np.sqrt(np.quantile(squared_distances(vectors, vectors)[pairs], QUANTILE))) if pairs.any() else 0.0


def _apart(vectors: Floats, allowed: NDArray[np.bool_], tau: float) -> NDArray[np.int64]:
    """Positions of the `allowed` vectors, in order, each at least tau from all before it that were kept."""
    near = squared_distances(vectors, vectors) < tau**2
    kept: list[int] = []
    for i in np.flatnonzero(allowed).tolist():
        if not near[i, kept].any():
            kept.append(i)
    return np.array(kept, np.int64)
