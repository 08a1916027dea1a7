"""Query strategies: arrays in, scores out. The LOWEST score is labelled first. No disk, no network.

Adding a strategy is one file and one line in REGISTRY.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strategies.entropy import entropy
from strategies.least_confidence import least_confidence
from strategies.margin import margin
from strategies.query import Query
from strategies.random import random

REGISTRY: dict[str, Callable[[Query], NDArray[np.float64]]] = {
    "random": random,
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
}


def score(name: str, query: Query) -> NDArray[np.float64]:
    """Pointwise scores of shape (N,) in [0, 1] under the strategy `name`. Raises ValueError on an unknown name."""
    if name not in REGISTRY:
        raise ValueError(f"STRATEGY={name!r} is unknown. There are: {', '.join(REGISTRY)}.")
    return REGISTRY[name](query)


def pick(name: str, query: Query, size: int) -> NDArray[np.int64]:
    """Indices of the `size` images to label first, best first; ties are broken by the hash of the task id."""
    scores = score(name, query)
    return np.lexsort((query.hashes, scores))[:size]
