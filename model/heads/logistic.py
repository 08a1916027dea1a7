"""Logistic regression on embeddings, multinomial or of each class for itself, each answer of equal weight."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.heads.softmax_regression import Regressions

INVERSE_REGULARISATION = 50.0  # C, on L2-normalised embeddings; flat between 20 and 160 on three photo sets, random labels
STEPS = 300  # of the optimiser, at most
TOLERANCE = 1e-5  # of the gradient

Floats = NDArray[np.float32]
Labels = NDArray[Any]  # of n images: their class, int64 (n,), or which of C classes they are of, bool (n, C)
Bools = NDArray[np.bool_]
Coefficients = tuple[Floats, Floats]  # of F fits: weights (F, C, D) and bias (F, C)


def fit_logistic(embeddings: Floats, labels: NDArray[np.int64], classes: int, rows: Bools) -> Coefficients:
    """Weights (F, C, D) and bias (F, C) of F fits, each on its `rows`, bool (F, n), of n images with their embeddings,
    float32 (n, D), and labels, int64 (n,). Classes without a label have zeros; so have all where there is one class only."""
    inputs = with_ones(embeddings)
    targets = one_hot(equal_shares(np.tile(labels, (len(rows), 1)), rows.astype(float), classes), labels, classes)
    return coefficients(fit_labels(inputs, targets, rows.sum(axis=1)))


def fit_independent(embeddings: Floats, labels: Bools, rows: Bools) -> Coefficients:
    """Weights (F, C, D) and bias (F, C) of F fits, each on its `rows`, bool (F, n), of n images with the classes `labels`, bool
    (n, C): for each class a regression of its own, whether an image is of it. A class that is on all images of a fit, or on
    none, has zeros.

    Weights lie in the span of the embeddings, so that of fewer images than dimensions their coordinates in it tell the same.
    """
    fits, classes = len(rows), labels.shape[1]
    answers = np.tile(labels.T.astype(np.int64), (fits, 1))
    of_class = np.repeat(rows, classes, axis=0)
    targets = one_hot(equal_shares(answers, of_class.astype(float), 2), answers, 2)
    basis = np.linalg.qr(embeddings.T)[0].T if len(embeddings) < embeddings.shape[1] else None
    inputs = with_ones(embeddings if basis is None else embeddings @ basis.T)
    weights, bias = coefficients(fit_labels(inputs, targets, of_class.sum(axis=1)), basis)
    both = targets.any(axis=2).all(axis=0).reshape(fits, classes)
    weights, bias = weights[:, 1] - weights[:, 0], bias[:, 1] - bias[:, 0]
    return weights.reshape(fits, classes, -1) * both[:, :, None], bias.reshape(fits, classes) * both


def fit_labels(inputs: Floats, targets: Floats, counts: NDArray[np.int64]) -> Floats:
    """Parameters (C, F, R + 1) of fits on so many labels each, int64 (F,); see Regressions for the rest."""
    start = np.zeros((*targets.shape[:2], inputs.shape[1]), np.float32)
    return Regressions(inputs, targets, penalties(targets, counts)).fit(start, STEPS, TOLERANCE)


def penalties(targets: Floats, weights: NDArray[np.number]) -> Floats:
    """Of regressions whose images weigh so much together, (F,). Between two classes one row of weights is the other's negative:
    what scikit-learn does with a single row, which so counts once, takes twice the penalty here."""
    two = targets.any(axis=2).sum(axis=0) == 2
    return np.where(two, 2, 1).astype(np.float32) / (INVERSE_REGULARISATION * np.maximum(weights, 1)).astype(np.float32)


def equal_shares(labels: NDArray[np.int64], weights: NDArray[np.float64], classes: int) -> Floats:
    """`weights`, (F, m), of images with `labels`, (F, m), scaled so that those of each class sum to the same in each row, and
    all of them to 1."""
    fits = len(labels)
    kind = labels + classes * np.arange(fits)[:, None]
    sums = np.bincount(kind.ravel(), weights.ravel(), minlength=fits * classes)
    share = 1 / np.maximum(np.count_nonzero(sums.reshape(fits, classes), axis=1), 1)
    return (weights / np.maximum(sums, np.finfo(float).tiny)[kind] * share[:, None]).astype(np.float32)


def one_hot(weights: Floats, labels: NDArray[np.int64], classes: int) -> Floats:
    """`weights`, (F, m), each at the class that `labels`, (m,) or (F, m), names: (C, F, m)."""
    return np.where(labels == np.arange(classes)[:, None, None], weights, np.float32(0)).astype(np.float32)


def with_ones(embeddings: Floats) -> Floats:
    """`embeddings`, (m, D), with a last column of ones, for the bias."""
    return np.hstack([embeddings, np.ones((len(embeddings), 1), np.float32)], dtype=np.float32)


def coefficients(parameters: Floats, basis: Floats | None = None) -> Coefficients:
    """Weights and bias from parameters (C, F, R + 1); basis: of shape (R, D), where their R inputs are coordinates in it."""
    by_fit = parameters.transpose(1, 0, 2)
    weights = by_fit[:, :, :-1] if basis is None else by_fit[:, :, :-1] @ basis
    return weights, by_fit[:, :, -1]
