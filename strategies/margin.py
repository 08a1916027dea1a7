"""Margin sampling (Scheffer 2001): the image on which the two best classes are closest."""

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query


def margin(query: Query) -> NDArray[np.float64]:
    """p1 - p2, the gap between the two largest probabilities, of shape (N,) in [0, 1]; the smallest comes first. O(NC)."""
    return query.margins
