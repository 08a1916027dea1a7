"""From picks to `prediction.score`, the place in the queue: in [0, 1], lowest first.

The queue lies below 0.5, everything else at 0.5 and above, so that a task imported later or scored alone by /predict
never jumps it.
"""

import numpy as np
from numpy.typing import NDArray

LAST = 1.0  # skipped tasks and images that cannot be read


def queue_places(size: int) -> NDArray[np.float64]:
    """The pick of rank r = 1, 2, ... of `size` gets r / (2 (size + 1)): float64 of shape (size,), in (0, 0.5). There is room
    before the first for what people send ahead of it."""
    return places_between(0.0, 0.5, size)


def places_between(after: float, before: float, size: int) -> NDArray[np.float64]:
    """`size` places in equal steps between two others, float64 of shape (size,)."""
    return after + (before - after) * np.arange(1, size + 1) / (size + 1)


def refill_places(last: float, size: int) -> NDArray[np.float64]:
    """Places behind the queue's `last` place and still below 0.5, float64 of shape (size,).

    Each refill takes half of what is left below 0.5, so a version can be refilled some thirty times.
    """
    half = (0.5 - last) / 2
    return last + half * np.arange(1, size + 1) / max(size, 1)


def pool_places(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places of tasks outside the queue from their pointwise scores in [0, 1]: 0.5 + score / 2. No min-max, so that a task
    has the same place alone as in a batch."""
    return 0.5 + np.clip(scores, 0, 1) / 2
