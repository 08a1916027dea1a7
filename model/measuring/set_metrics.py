"""How good a classifier is where an image may be of several classes or of none: F1 of each class, macro F1 and its interval.

Like `metrics.py`, on a random sample whose images count by the number of images that they stand for. A class is predicted from
a probability of 1/2 on.
"""

import numpy as np
from numpy.typing import NDArray

from model.measuring.metrics import BINS, CELLS, DRAWS, ENOUGH, Floats, Metrics, effective_size, strata

SURE = 0.5  # the probability from which on an image is taken to be of a class
DOUBT = 0.5  # prior weight, in images, of one more of a class that is found, and of one more error with it

Sets = NDArray[np.bool_]


def predicted_sets(probabilities: NDArray[np.floating]) -> Sets:
    """The classes that each of n images is taken to be of, bool (n, C), by its probabilities, (n, C)."""
    return probabilities >= SURE


def measure_sets(probabilities: NDArray[np.floating], labels: Sets, weights: Floats | None = None, *, seed: int = 0) -> Metrics:
    """Metrics of `probabilities`, (n, C), against the true `labels`, bool (n, C).

    weights: see `measure`. There is no confusion matrix, since a class that is missed is mistaken for no other. accuracy: of
    images with all their classes right; ece: of all answers yes or no. Raises ValueError where shapes do not fit.
    """
    n, classes = probabilities.shape
    weights = np.ones(n) if weights is None else weights
    if labels.shape != (n, classes) or weights.shape != (n,):
        raise ValueError(f"labels of shape {labels.shape} and weights of {weights.shape} do not fit {n} x {classes}")
    if n == 0:
        return Metrics(0, 0.0, None, None, [None] * classes, [], None, None, False)
    predicted = predicted_sets(probabilities)
    f1, present = f1_of_sets(predicted, labels, weights)
    macro = float(f1[present].mean()) if present.any() else None
    effective = effective_size(weights)
    return Metrics(
        n=n,
        effective=effective,
        macro_f1=macro,
        interval=None if macro is None else _interval(predicted[:, present], labels[:, present], weights, macro, seed),
        per_class=[float(value) if there else None for value, there in zip(f1, present, strict=True)],
        confusion=[],
        accuracy=float(np.average((predicted == labels).all(axis=1), weights=weights)),
        ece=set_calibration_error(probabilities, labels, weights),
        enough=effective >= ENOUGH and macro is not None,
    )


def f1_of_sets(predicted: Sets, labels: Sets, weights: Floats | None = None) -> tuple[Floats, Sets]:
    """F1 of each class, float64 (C,), and which classes occur among `predicted` or `labels`, bool (n, C) each: bool (C,)."""
    weights = np.ones(len(labels)) if weights is None else weights
    hits = weights @ (predicted & labels)
    sizes = weights @ predicted.astype(float) + weights @ labels.astype(float)
    return np.divide(2 * hits, sizes, out=np.zeros(labels.shape[1]), where=sizes > 0), sizes > 0


def macro_f1_of_sets(predicted: Sets, labels: Sets, weights: Floats | None = None) -> float:
    """Mean F1 of the classes that occur among `predicted` or `labels`, bool (n, C) each; 0 where none does."""
    f1, present = f1_of_sets(predicted, labels, weights)
    return float(f1[present].mean()) if present.any() else 0.0


def set_calibration_error(probabilities: NDArray[np.floating], labels: Sets, weights: Floats | None = None) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins, of all n C answers yes or no."""
    weights = np.ones(len(labels)) if weights is None else weights
    confidence = np.maximum(probabilities, 1 - probabilities)
    correct = predicted_sets(probabilities) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins.ravel(), (weights[:, None] * (confidence - correct)).ravel())
    return float(np.abs(gaps).sum() / (weights.sum() * labels.shape[1]))


def _interval(predicted: Sets, labels: Sets, weights: Floats, macro: float, seed: int) -> tuple[float, float]:
    """Central 95 % range of macro F1 on draws of the images with replacement, each stratum for itself (Efron & Tibshirani
    1993), and with doubts (Gamma of DOUBT) of each class, without which a small sample without an error would leave none."""
    random, n = np.random.default_rng(seed), len(labels)
    hits, sizes = (predicted & labels).astype(float), predicted.astype(float) + labels
    unit = weights.sum() / n
    macros = []
    step = max(1, CELLS // max(n, labels.shape[1]))
    for start in range(0, DRAWS, step):
        draws = np.zeros((min(step, DRAWS - start), n))
        for weight, stratum in strata(weights):
            count = int(stratum.sum())
            draws[:, stratum] = weight * random.multinomial(count, np.full(count, 1 / count), size=len(draws))
        found, error = unit * random.gamma(DOUBT, size=(2, len(draws), labels.shape[1]))
        f1 = 2 * (draws @ hits + found) / (draws @ sizes + 2 * found + error)
        macros.append(f1.mean(axis=1))
    low, high = np.percentile(np.concatenate(macros), [2.5, 97.5])
    return min(float(low), macro), max(float(high), macro)
