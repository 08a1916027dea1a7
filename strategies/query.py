"""What a strategy is asked: the unlabelled images as the current model sees them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strategies.hashing import uniform_hash


@dataclass(frozen=True)
class Query:
    """N unlabelled images.

    tasks: their ids, int64 of shape (N,); probabilities: of shape (N, C), rows sum to 1; seed: names the model version, so
    that what is random changes from version to version and is the same on every call within one.
    Raises ValueError on shapes that do not fit and on values that are no probabilities.
    """

    tasks: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    seed: str = field(default="")

    def __post_init__(self) -> None:
        p = self.probabilities
        if p.ndim != 2 or p.shape[1] == 0 or self.tasks.shape != (len(p),):
            raise ValueError(f"probabilities of shape {p.shape} do not fit tasks of shape {self.tasks.shape}")
        if not np.isfinite(p).all() or (p < 0).any() or (abs(p.sum(axis=1, dtype=np.float64) - 1) > 0.01).any():
            raise ValueError("probabilities must be finite, in [0, 1], and sum to 1 in each row")

    @cached_property
    def hashes(self) -> NDArray[np.float64]:
        """A uniform number in [0, 1) for each task, of shape (N,)."""
        return uniform_hash(self.tasks, self.seed)

    @cached_property
    def top_two(self) -> NDArray[np.float64]:
        """The largest and the second largest probability of each image, of shape (N, 2); with one class the second is 0."""
        p = self.probabilities.astype(np.float64)
        if p.shape[1] == 1:
            return np.hstack([p, np.zeros_like(p)])
        return -np.partition(-p, 1, axis=1)[:, :2]
