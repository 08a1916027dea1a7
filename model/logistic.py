"""Multinomial logistic regression on embeddings, each class of equal weight."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

INVERSE_REGULARISATION = 50.0  # C, on L2-normalised embeddings; flat between 20 and 160 on three photo sets, random labels

Floats = NDArray[np.float32]
Coefficients = tuple[Floats, Floats]  # weights (C, D) and bias (C,)


def fit_logistic(embeddings: Floats, labels: NDArray[np.int64], classes: int) -> Coefficients:
    """Weights (C, D) and bias (C,) from n images, float32 (n, D), and their labels, int64 (n,); rows of classes without a label
    are zero, and all are where there is one class only, or where all embeddings are zero.

    With fewer images than dimensions the fit runs in the span of the images: the regularised solution lies there, so
    this changes nothing but the time.
    """
    if len(np.unique(labels)) < 2 or not embeddings.any():
        return np.zeros((classes, embeddings.shape[1]), np.float32), np.zeros(classes, np.float32)
    inputs, basis = _span(embeddings)
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000, tol=1e-4)
    return coefficients(model.fit(inputs, labels), classes, basis)


def coefficients(model: LogisticRegression, classes: int, basis: NDArray[np.floating] | None = None) -> Coefficients:
    """What a fitted `model` of two or more classes has learned, a row for each of all `classes`. basis: of shape (R, D), where
    its R inputs are coordinates in it."""
    rows = model.coef_ if basis is None else model.coef_ @ basis
    weights, bias = np.zeros((classes, rows.shape[1]), np.float32), np.zeros(classes, np.float32)
    seen = model.classes_
    if len(seen) == 2:  # scikit-learn keeps one row for two classes
        weights[seen[1]], bias[seen[1]] = rows[0], model.intercept_[0]
    else:
        weights[seen], bias[seen] = rows, model.intercept_
    return weights, bias


def _span(embeddings: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Coordinates (n, r) of the embeddings in an orthonormal basis (r, D) of their span; the basis is None for n >= D."""
    values = embeddings.astype(np.float64)
    if len(values) >= values.shape[1]:
        return values, None
    squares, vectors = np.linalg.eigh(values @ values.T)
    keep = squares > squares[-1] * 1e-10
    lengths = np.sqrt(squares[keep])
    return vectors[:, keep] * lengths, (vectors[:, keep] / lengths).T @ values
