"""How good a classifier is on a random sample of the pool: macro F1 with its interval, per class, and calibration."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH = 30  # random-slot labels below which macro F1 is "too few yet": its standard deviation is about 7 points there
DRAWS = 2000
CELLS = 4_000_000  # drawn at once, to bound memory with many classes
BINS = 10


@dataclass(frozen=True)
class Metrics:
    """Measured on n images. macro_f1 is the mean F1 of the classes that occur among them; None where n is 0.

    interval: its central 95 % range; per_class: F1 of each class, None where it does not occur; ece: expected calibration
    error in [0, 1]; enough: whether n allows a judgement.
    """

    n: int
    macro_f1: float | None
    interval: tuple[float, float] | None
    per_class: list[float | None]
    accuracy: float | None
    ece: float | None
    enough: bool

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)


def measure(probabilities: NDArray[np.floating], labels: NDArray[np.int64], seed: int = 0) -> Metrics:
    """Metrics of `probabilities`, of shape (n, C), against true `labels`, int64 of shape (n,)."""
    n, classes = probabilities.shape
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels do not fit probabilities of shape {probabilities.shape}")
    if n == 0:
        return Metrics(0, None, None, [None] * classes, None, None, False)
    predicted = probabilities.argmax(axis=1)
    f1, present = f1_per_class(predicted, labels, classes)
    macro = float(f1[present].mean())
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    low, high = _interval(confusion[np.ix_(present, present)], classes > present.sum(), seed)
    return Metrics(
        n=n,
        macro_f1=macro,
        interval=(min(low, macro), max(high, macro)),
        per_class=[float(value) if there else None for value, there in zip(f1, present, strict=True)],
        accuracy=float((predicted == labels).mean()),
        ece=calibration_error(probabilities, labels),
        enough=n >= ENOUGH,
    )


def f1_per_class(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """F1 of each class, float64 (C,), and which classes occur among `predicted` or `labels`, bool (C,)."""
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    misses = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes) - 2 * hits
    present = hits + misses > 0
    return np.divide(2 * hits, 2 * hits + misses, out=np.zeros(classes), where=present), present


def macro_f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> float:
    """Mean F1 of the classes that occur among `predicted` or `labels`, int64 of shape (n,) each, n >= 1."""
    f1, present = f1_per_class(predicted, labels, classes)
    return float(f1[present].mean())


def paired_bootstrap(
    first: NDArray[np.int64], second: NDArray[np.int64], labels: NDArray[np.int64], classes: int, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """The probability that `second` has a higher macro F1 than `first`, and the central 95 % range of the difference.

    first, second: predicted classes of the same n >= 1 images, int64 (n,); labels: their true ones. Each draw takes n of the
    images with replacement, the same for both (Efron & Tibshirani 1993; for F1 Berg-Kirkpatrick et al. 2012); ties count half.
    """
    n = len(labels)
    random = np.random.default_rng(seed)
    truth = np.eye(classes)[labels]
    guesses = [np.eye(classes)[predicted] for predicted in (first, second)]
    differences = []
    step = max(1, CELLS // max(n, classes))
    for start in range(0, DRAWS, step):
        weights = random.multinomial(n, np.full(n, 1 / n), size=min(step, DRAWS - start)).astype(float)
        drawn = []
        for guess in guesses:
            hits, sizes = weights @ (truth * guess), weights @ (truth + guess)
            f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
            drawn.append(f1.sum(axis=1) / (sizes > 0).sum(axis=1))
        differences.append(drawn[1] - drawn[0])
    difference = np.round(np.concatenate(differences), 12)  # equal but for rounding is a tie
    low, high = np.percentile(difference, [2.5, 97.5])
    return float((difference > 0).mean() + (difference == 0).mean() / 2), (float(low), float(high))


def _interval(confusion: NDArray[np.int64], others: bool, seed: int) -> tuple[float, float]:
    """Central 95 % range of macro F1 under the posterior of the confusion matrix, true by predicted, of shape (C, C).

    `others`: there are classes that did not occur; they stand in the posterior as one more, which can be confused with the
    rest but whose own F1 does not count. Its cells are drawn together (Gamma of count + prior, that is a Dirichlet but for
    a scale F1 does not see; cf. Goutte & Gaussier 2005), since one error misses two classes at once; the prior puts half a
    hit and half a miss in each row. Unlike a bootstrap this stays honest where a small sample shows no error.
    """
    counted = len(confusion)
    confusion = np.pad(confusion, (0, int(others)))
    classes = len(confusion)
    prior = np.full((classes, classes), 0.5 / max(classes - 1, 1))
    np.fill_diagonal(prior, 0.5)
    random = np.random.default_rng(seed)
    macro = []
    step = max(1, CELLS // classes**2)
    for start in range(0, DRAWS, step):
        cells = random.gamma(confusion + prior, size=(min(step, DRAWS - start), classes, classes))
        f1 = 2 * np.diagonal(cells, axis1=1, axis2=2) / (cells.sum(axis=1) + cells.sum(axis=2))
        macro.append(f1[:, :counted].mean(axis=1))
    low, high = np.percentile(np.concatenate(macro), [2.5, 97.5])
    return float(low), float(high)


def calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins (Naeini 2015)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))
