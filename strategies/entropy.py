"""Entropy sampling (Shannon 1948; Settles 2009): the image whose class probabilities are most spread out."""

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query


def entropy(query: Query) -> NDArray[np.float64]:
    """1 + sum(p ln p) / ln C, of shape (N,) in [0, 1]: 0 at the uniform distribution, 1 at certainty. O(NC)."""
    p = query.probabilities.astype(np.float64)
    classes = p.shape[1]
    if classes == 1:
        return np.ones(len(p))
    terms = p * np.log(np.clip(p, np.finfo(np.float64).tiny, None))
    return np.clip(1 + terms.sum(axis=1) / np.log(classes), 0, 1)
