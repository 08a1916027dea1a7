"""Labels and a pool as heads learn from them: which of the two ways to fit is right, and what all fits of a round share."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.heads.logistic import Coefficients, Floats, Labels, fit_independent, fit_logistic
from model.heads.selftraining import SAMPLE, SelfTraining
from model.threads import one_thread

POOL_HELPS = 2000  # labels, at most: with more the pool teaches nothing new
TOGETHER = 2**22  # numbers in an array of several fits, at most, to bound memory with many classes


@dataclass(frozen=True, eq=False)
class Learner:
    """Fits on parts of n >= 1 labelled images, with the unlabelled pool beside them where one is given and can help.

    embeddings: float32 (n, D), L2-normalised; labels: int64 (n,) in [0, classes), or bool (n, classes) where an
    image may be of several classes or of none: there the pool is not used; pool: float32 (N, D); seed: of all that is
    drawn at random, folds included. Make one for all fits on the same labels: reading the pool costs more than most fits,
    and is done once, for the first fit that needs it. Raises ValueError on labels that do not fit.
    """

    embeddings: Floats
    labels: Labels
    classes: int
    pool: Floats | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.labels) == 0 or len(self.labels) != len(self.embeddings):
            raise ValueError(f"{len(self.labels)} labels do not fit {len(self.embeddings)} embeddings")
        if self.independent:
            if self.labels.shape[1] != self.classes:
                raise ValueError(f"labels of shape {self.labels.shape} do not fit {self.classes} classes")
        elif self.labels.min() < 0 or self.labels.max() >= self.classes:
            raise ValueError(f"labels outside [0, {self.classes})")

    @property
    def independent(self) -> bool:
        """Whether an image may be of several classes or of none."""
        return self.labels.ndim > 1

    def fit(self, rows: NDArray[np.bool_], among_pool: bool = False) -> Coefficients:
        """Weights (F, C, D) and bias (F, C) of F fits, each on its `rows` of the labelled images, bool (F, n).

        among_pool: whether to each fit the other labelled images are images of the pool, from which it learns too: then it is
        as sure of them as it is of those.

        Each class weighs the same in the loss, whatever its count. Classes without a label have zeros, and all have where there
        is one class only.
        """
        with one_thread():  # threads that wait for each other in products so small take five times as long
            size = max(1, TOGETHER // (self.classes * max(len(self.labels) + SAMPLE, self.embeddings.shape[1])))
            parts = [self._fit(rows[start : start + size], among_pool) for start in range(0, len(rows), size)]
        weights, bias = zip(*parts, strict=True)
        return np.concatenate(weights), np.concatenate(bias)

    def _fit(self, rows: NDArray[np.bool_], among_pool: bool) -> Coefficients:
        if self.independent:
            return fit_independent(self.embeddings, self.labels.astype(bool), rows)
        if self._with_pool is None:
            return fit_logistic(self.embeddings, self.labels, self.classes, rows)
        return self._with_pool.fit(rows, among_pool and self._reads_whole_pool)

    @property
    def _reads_whole_pool(self) -> bool:
        return self.pool is not None and len(self.pool) <= SAMPLE

    @cached_property
    def _with_pool(self) -> SelfTraining | None:
        if self.pool is None or not len(self.pool) or len(self.labels) > POOL_HELPS:
            return None
        return SelfTraining.read(self.embeddings, self.labels, self.classes, self.pool, self.seed)
