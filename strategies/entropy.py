"""Entropy sampling (Shannon 1948; Settles 2009): the image whose class probabilities are most spread out."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import rowwise
from strategies.query import Query


def entropy(query: Query) -> NDArray[np.float64]:
    """1 + sum(p ln p) / ln C, of shape (N,) in [0, 1]: 0 at the uniform distribution, 1 at certainty. O(NC)."""
    classes = query.probabilities.shape[1]
    if classes == 1:
        return np.ones(len(query))
    return np.clip(1 - rowwise(shannon, query.probabilities) / np.log(classes), 0, 1)


def shannon(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy in nats over the last axis of `p`, of shape (..., C); 0 ln 0 is 0."""
    p = p.astype(np.float64)
    return -(p * np.log(np.clip(p, np.finfo(np.float64).tiny, None))).sum(axis=-1)
