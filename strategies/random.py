"""Random sampling: the baseline every strategy has to beat."""

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query


def random(query: Query) -> NDArray[np.float64]:
    """Uniform scores in [0, 1) of shape (N,): hash(seed, task id), the same on every call. O(N)."""
    return query.hashes
