"""Logistic regression that learns from the unlabelled pool too, by self-training (Yarowsky 1995; Lee 2013).

What the labels alone teach guesses the pool; a few steps of the optimiser towards labels and guesses together change the
guesses, and so on. A guess counts by its margin, and the guesses of each class together as much as those of any other.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.extmath import randomized_svd

from model.logistic import INVERSE_REGULARISATION, Coefficients, Floats, coefficients

DIMENSIONS = 512  # principal ones of labels and pool, in which the fit runs
SAMPLE = 2000  # images of the pool that are guessed: more would change little
ROUNDS = 6  # of guessing
STEPS = 10  # of the optimiser in each round; more of them make the model believe its own guesses too much

Doubles = NDArray[np.float64]


class SelfTraining:
    """Fits on parts of n labelled images, with one pool beside them; `read` makes it.

    labelled, pool: coordinates of their embeddings in an orthonormal basis, float64 (n, R) and (N, R); basis: float32 (R, D);
    labels: int64 (n,) in [0, classes).
    """

    def __init__(
        self, labelled: Doubles, pool: Doubles, basis: NDArray[np.floating], labels: NDArray[np.int64], classes: int
    ) -> None:
        self._labelled, self._pool, self._basis = labelled, pool, basis
        self._labels, self._classes = labels, classes

    @classmethod
    def read(cls, embeddings: Floats, labels: NDArray[np.int64], classes: int, pool: Floats, seed: int) -> "SelfTraining":
        """From embeddings, float32 (n, D), and those of a pool of N >= 1 images, float32 (N, D), of which `seed` draws SAMPLE.

        O((n + N) D DIMENSIONS): more than most fits take.
        """
        if len(pool) > SAMPLE:
            pool = pool[np.sort(np.random.default_rng(seed).choice(len(pool), SAMPLE, replace=False))]
        both = np.vstack([embeddings, pool]).astype(np.float32, copy=False)
        size = min(DIMENSIONS, *both.shape)
        basis = randomized_svd(both, size, n_iter=2, random_state=seed)[2]
        inputs = (both @ basis.T).astype(np.float64)
        return cls(inputs[: len(labels)], inputs[len(labels) :], basis, labels, classes)

    def fit(self, rows: NDArray[np.bool_]) -> Coefficients:
        """Weights (C, D) and bias (C,) from the labelled images `rows`, bool (n,), of two classes or more, and the pool."""
        given, labels = self._labelled[rows], self._labels[rows]
        weights = len(labels) * _equal_shares(labels, np.ones(len(labels)), self._classes)
        model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, tol=1e-4, warm_start=True)
        model.fit(given, labels, sample_weight=weights)
        inputs = np.vstack([given, self._pool])
        model.max_iter = STEPS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose
            for _ in range(ROUNDS):
                guesses, trust = _guess(model, self._pool)
                guessed = len(labels) * _equal_shares(guesses, trust, self._classes)
                model.fit(inputs, np.concatenate([labels, guesses]), sample_weight=np.concatenate([weights, guessed]))
        return coefficients(model, self._classes, self._basis)


def _guess(model: LogisticRegression, pool: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    """The most probable class of each image of the pool, and by how much it leads."""
    p = model.predict_proba(pool)
    second, first = np.partition(p, -2, axis=1)[:, -2:].T
    return model.classes_[p.argmax(axis=1)], first - second


def _equal_shares(labels: NDArray[np.int64], weights: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """`weights` scaled so that those of each class sum to the same, and all of them to 1."""
    sums = np.bincount(labels, weights, minlength=classes)
    return weights / np.maximum(sums, np.finfo(float).tiny)[labels] / max(np.count_nonzero(sums), 1)
