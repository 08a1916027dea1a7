"""Least confidence, "uncertainty sampling" (Lewis & Gale 1994): the image whose best class is least probable."""

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query


def least_confidence(query: Query) -> NDArray[np.float64]:
    """p1, the largest probability, of shape (N,) in [0, 1]. Uncertainty is 1 - p1, so the lowest p1 comes first. O(NC)."""
    return np.clip(query.top_two[:, 0], 0, 1)
