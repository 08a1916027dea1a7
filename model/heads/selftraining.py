"""Logistic regression that learns from the unlabelled pool too, by self-training (Yarowsky 1995; Lee 2013).

What the labels alone teach guesses the pool; a few steps of the optimiser towards labels and guesses together change the
guesses, and so on. A guess counts by its margin, and the guesses of each class together as much as those of any other.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.heads.logistic import (
    TOLERANCE,
    Bools,
    Coefficients,
    Floats,
    coefficients,
    equal_shares,
    fit_labels,
    one_hot,
    penalties,
    with_ones,
)
from model.heads.principal import principal_basis
from model.heads.softmax_regression import Regressions

DIMENSIONS = 512  # principal ones of labels and pool, in which the fit runs: with 256 a head on picked labels loses 0.1 points
SAMPLE = 2000  # images of the pool that are guessed: more would change little
ROUNDS = 6  # of guessing
STEPS = 10  # of the optimiser in each round; more of them make the model believe its own guesses too much


@dataclass(frozen=True, eq=False)
class SelfTraining:
    """Fits on parts of n labelled images, with one pool of N beside them; `read` makes it.

    inputs: coordinates of the embeddings of both in an orthonormal basis, and a column of ones, float32 (n + N, R + 1); basis:
    float32 (R, D); labels: int64 (n,) in [0, classes).
    """

    inputs: Floats
    basis: Floats
    labels: NDArray[np.int64]
    classes: int

    @classmethod
    def read(
        cls, embeddings: Floats, labels: NDArray[np.int64], classes: int, pool: NDArray[np.floating], seed: int
    ) -> "SelfTraining":
        """From embeddings, float32 (n, D), and those of a pool of N >= 1 images, (N, D) of any float type.

        `seed` draws at most SAMPLE of the pool, of which those that are not finite teach nothing. O((n + N) D R).
        """
        if len(pool) > SAMPLE:
            pool = pool[np.sort(np.random.default_rng(seed).choice(len(pool), SAMPLE, replace=False))]
        pool = np.asarray(pool)  # it may lie in a store
        both = np.vstack([embeddings, pool[np.isfinite(pool).all(axis=1)]], dtype=np.float32)
        basis = principal_basis(both, DIMENSIONS, seed)
        return cls(with_ones(both @ basis.T), basis, labels, classes)

    def fit(self, rows: Bools, among_pool: bool = False) -> Coefficients:
        """Weights (F, C, D) and bias (F, C) of F fits, each on its `rows` of the labelled images, bool (F, n), and the pool.

        among_pool: whether to each fit the other labelled images are images of the pool.
        """
        n, labels = len(self.labels), np.tile(self.labels, (len(rows), 1))
        taught = one_hot(equal_shares(labels, rows.astype(float), self.classes), self.labels, self.classes)
        parameters = fit_labels(self.inputs[:n], taught, rows.sum(axis=1))
        has = np.asarray(taught.any(axis=2))
        targets = np.zeros((*has.shape, len(self.inputs)), np.float32)
        targets[:, :, :n] = taught / 2
        known = np.pad(rows if among_pool else np.ones_like(rows), ((0, 0), (0, len(self.inputs) - n)))  # not to be guessed
        both = Regressions(self.inputs, targets, penalties(taught, 2 * rows.sum(axis=1)))
        for _ in range(ROUNDS):
            guesses, trust = _guess(both.logits(parameters), has)
            trust[known] = 0
            targets = one_hot(equal_shares(guesses, trust, self.classes), guesses, self.classes)
            targets[:, :, :n] += taught
            targets /= 2
            both = replace(both, targets=targets)
            parameters = both.fit(parameters, STEPS, TOLERANCE)
        return coefficients(parameters, self.basis)


def _guess(logits: Floats, has: Bools) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most probable class of each image of the pool in each fit, (F, N), and by how much it leads.

    logits: (C, F, N); has: classes with labels in each fit, bool (C, F): only those are guessed.
    """
    logits = np.where(has[:, :, None], logits, -np.inf)
    p = np.exp(logits - logits.max(axis=0))
    p /= p.sum(axis=0)
    if len(p) == 1:
        return np.zeros(p.shape[1:], np.int64), np.ones(p.shape[1:])
    second, first = np.partition(p, -2, axis=0)[-2:]
    return p.argmax(axis=0), (first - second).astype(np.float64)
