"""Entropy sampling (Shannon 1948; Settles 2009): the image whose class probabilities are most spread out."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import rowwise
from strategies.query import Query


def entropy(query: Query) -> NDArray[np.float64]:
    """1 + sum(p ln p) / ln C, of shape (N,) in [0, 1]: 0 at the uniform distribution, 1 at certainty. O(NC).

    Where classes are independent: 1 - H / (C ln 2), H being the entropy of all C answers together.
    """
    if query.independent:
        return np.clip(1 - rowwise(binary, query.probabilities) / np.log(2), 0, 1)
    classes = query.probabilities.shape[1]
    if classes == 1:
        return np.ones(len(query))
    return np.clip(1 - rowwise(shannon, query.probabilities) / np.log(classes), 0, 1)


def shannon(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Entropy in nats over the last axis of `p`, of shape (..., C); 0 ln 0 is 0."""
    p = p.astype(np.float64)
    return -(p * np.log(np.clip(p, np.finfo(np.float64).tiny, None))).sum(axis=-1)


def binary(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean entropy in nats of an answer yes or no with the probability p, over the last axis of `p`, of shape (..., C)."""
    return shannon(np.stack([p, 1 - p.astype(np.float64)], axis=-1)).mean(axis=-1)
