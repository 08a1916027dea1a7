"""Picking in stages of doubling size, for strategies that pick a batch as a set.

Of a long queue only the first few are labelled before the next query replaces it. So the first `batch` picks are chosen as a
batch of their own, then the next `batch`, then twice as many, and so on: every prefix of about such a length is a good set.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def stages(size: int, batch: int) -> list[int]:
    """Sizes of the stages, which sum to `size`: batch, batch, 2 batch, 4 batch ...; a single one where batch is 0."""
    sizes: list[int] = []
    while (done := sum(sizes)) < size:
        sizes.append(min(done or batch or size, size - done))
    return sizes


def pick_in_stages(size: int, batch: int, choose: Callable[[NDArray[np.int64], int], NDArray[np.int64]]) -> NDArray[np.int64]:
    """`size` picks, stage by stage: choose(picked so far, n) returns n more, none of those."""
    picked: NDArray[np.int64] = np.zeros(0, np.int64)
    for stage in stages(size, batch):
        picked = np.concatenate([picked, choose(picked, stage)])
    return picked
