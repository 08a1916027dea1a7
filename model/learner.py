"""Labels and a pool as heads learn from them: which of the two ways to fit is right, and what all fits of a round share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.logistic import Coefficients, Floats, fit_logistic
from model.selftraining import SAMPLE, SelfTraining
from model.threads import one_thread

POOL_HELPS = 2000  # labels, at most: with more the pool teaches nothing new
TOGETHER = 2**22  # numbers in an array of several fits, at most, to bound memory with many classes


@dataclass(frozen=True, eq=False)
class Learner:
    """Fits on parts of n >= 1 labelled images, with the unlabelled pool beside them where one is given and can help.

    embeddings: float32 (n, D), L2-normalised; labels: int64 (n,) in [0, classes); pool: float32 (N, D); seed: of all that is
    drawn at random, folds included. Make one for all fits on the same labels: reading the pool costs more than most fits,
    and is done once, for the first fit that needs it. Raises ValueError on labels that do not fit.
    """

    embeddings: Floats
    labels: NDArray[np.int64]
    classes: int
    pool: Floats | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.labels) == 0 or len(self.labels) != len(self.embeddings):
            raise ValueError(f"{len(self.labels)} labels do not fit {len(self.embeddings)} embeddings")
        if self.labels.min() < 0 or self.labels.max() >= self.classes:
            raise ValueError(f"labels outside [0, {self.classes})")

    def fit(self, rows: NDArray[np.bool_]) -> Coefficients:
        """Weights (F, C, D) and bias (F, C) of F fits, each on its `rows` of the labelled images, bool (F, n).

        Each class weighs the same in the loss, whatever its count. Classes without a label have zeros, and all have where there
        is one class only.
        """
        with one_thread():  # threads that wait for each other in products so small take five times as long
            size = max(1, TOGETHER // (self.classes * max(len(self.labels) + SAMPLE, self.embeddings.shape[1])))
            parts = [self._fit(rows[start : start + size]) for start in range(0, len(rows), size)]
        weights, bias = zip(*parts, strict=True)
        return np.concatenate(weights), np.concatenate(bias)

    def _fit(self, rows: NDArray[np.bool_]) -> Coefficients:
        if self._with_pool is None:
            return fit_logistic(self.embeddings, self.labels, self.classes, rows)
        return self._with_pool.fit(rows)

    @cached_property
    def _with_pool(self) -> SelfTraining | None:
        if self.pool is None or not len(self.pool) or len(self.labels) > POOL_HELPS:
            return None
        return SelfTraining.read(self.embeddings, self.labels, self.classes, self.pool, self.seed)
