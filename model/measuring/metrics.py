"""How good a classifier is on a random sample of the pool: macro F1 with its interval, per class, and calibration.

The sample may be stratified: an image then counts by its weight, the number of images that it stands for, which is the same
for all images of a stratum. Cells of the confusion matrix are sums of weights, so that they are unbiased for those of the
whole pool (Cochran 1977, Sampling Techniques, sec. 5.3), and what is said of uncertainty draws each stratum for itself.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.heads.logistic import Labels

ENOUGH = (
    30  # random slots below which counting their hits is "too few yet": macro F1 has a standard deviation of 7 points there
)
DRAWS = 2000  # of the posterior and of the bootstrap
CELLS = 4_000_000  # drawn at once, to bound memory with many classes
BINS = 10  # of the calibration error

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Interval = tuple[float, float]
NO_INTERVAL: Interval = (0.0, 1.0)  # of a share of which nothing is known


@dataclass(frozen=True)
class Metrics:
    """Measured on n images. macro_f1 is the mean F1 of the classes that occur among them; None where n is 0.

    effective: images of equal weight that would tell as much as these n; interval: a 95 % range of macro_f1;
    per_class: F1 of each class, None where it does not occur; confusion: true class, predicted class and sum of weights of each
    cell that holds an image, by row and column; ece: expected calibration error in [0, 1]; enough: whether macro_f1 may be
    told as a figure.

    unlabelled: whether macro_f1, accuracy and F1 of each class are those on the images without a label (`judgement.py`), with
    an interval for each, and not those of the n images themselves.
    """

    n: int
    effective: float
    macro_f1: float | None
    interval: tuple[float, float] | None
    per_class: list[float | None]
    confusion: list[tuple[int, int, float]]
    accuracy: float | None
    ece: float | None
    enough: bool
    accuracy_interval: tuple[float, float] | None = None
    per_class_intervals: list[tuple[float, float] | None] | None = None
    unlabelled: bool = False

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


def effective_size(weights: Floats) -> float:
    """How many images of equal weight tell as much as n images of these `weights`, float64 (n,) (Kish 1965, Survey Sampling):
    (sum w)^2 / sum w^2, at most n. Rounded, so that 30 of equal weight are 30 and no rounding error less."""
    return round(float(weights.sum() ** 2 / np.square(weights).sum()), 6) if len(weights) else 0.0


def measure(probabilities: NDArray[np.floating], labels: Classes, weights: Floats | None = None, *, seed: int = 0) -> Metrics:
    """Metrics of `probabilities`, of shape (n, C), against true `labels`, int64 (n,).

    weights: float64 (n,), all above 0, equal within a stratum; None: one stratum. Raises ValueError where shapes do not fit.
    """
    n, classes = probabilities.shape
    weights = np.ones(n) if weights is None else weights
    if len(labels) != n:
        raise ValueError(f"{len(labels)} labels do not fit probabilities of shape {probabilities.shape}")
    if weights.shape != (n,) or not (weights > 0).all():
        raise ValueError(f"weights of shape {weights.shape} must be above 0, one for each of {n} images")
    if n == 0:
        return Metrics(0, 0.0, None, None, [None] * classes, [], None, None, False)
    predicted = probabilities.argmax(axis=1)
    f1, present = f1_per_class(predicted, labels, classes, weights)
    macro = float(f1[present].mean())
    accuracy = float(np.average(predicted == labels, weights=weights))
    (low, high), of_accuracy = _intervals(predicted, labels, weights, present, seed)
    effective = effective_size(weights)
    return Metrics(
        n=n,
        effective=effective,
        macro_f1=macro,
        interval=(min(low, macro), max(high, macro)),
        per_class=[float(value) if there else None for value, there in zip(f1, present, strict=True)],
        confusion=confusion_cells(predicted, labels, weights),
        accuracy=accuracy,
        ece=calibration_error(probabilities, labels, weights),
        enough=effective >= ENOUGH,
        accuracy_interval=(min(of_accuracy[0], accuracy), max(of_accuracy[1], accuracy)),
    )


def confusion_cells(predicted: Classes, labels: Classes, weights: Floats) -> list[tuple[int, int, float]]:
    """Cells of the confusion matrix that hold one of n images: true class, predicted class, sum of weights; by row and column.

    At most n of them, where the matrix of a thousand classes would have a million.

    predicted, labels: int64 (n,); weights: float64 (n,).
    """
    cells, cell = np.unique(np.stack([labels, predicted], axis=1), axis=0, return_inverse=True)
    sums = np.bincount(cell.ravel(), weights, minlength=len(cells))
    return [(int(truth), int(guess), float(weight)) for (truth, guess), weight in zip(cells, sums, strict=True)]


def f1_per_class(
    predicted: Classes, labels: Classes, classes: int, weights: Floats | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """F1 of each class, float64 (C,), and which classes occur among `predicted` or `labels`, bool (C,)."""
    weights = np.ones(len(labels)) if weights is None else weights
    right = predicted == labels
    hits = np.bincount(labels[right], weights[right], minlength=classes)
    sizes = np.bincount(labels, weights, minlength=classes) + np.bincount(predicted, weights, minlength=classes)
    present = sizes > 0
    return np.divide(2 * hits, sizes, out=np.zeros(classes), where=present), present


def macro_f1(predicted: Classes, labels: Classes, classes: int, weights: Floats | None = None) -> float:
    """Mean F1 of the classes that occur among `predicted` or `labels`, int64 of shape (n,) each, n >= 1."""
    f1, present = f1_per_class(predicted, labels, classes, weights)
    return float(f1[present].mean())


def paired_bootstrap(
    first: Labels, second: Labels, labels: Labels, classes: int, weights: Floats | None = None, *, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """The probability that `second` has a higher macro F1 than `first`, and the central 95 % range of the difference.

    first, second: predicted classes of the same n >= 1 images, int64 (n,), or sets of classes, bool (n, C); labels: their true
    ones; weights: float64 (n,), equal within a stratum. Each draw takes with replacement as many images of each stratum as it
    has, the same for both (Efron & Tibshirani 1993; for F1 Berg-Kirkpatrick et al. 2012); ties count half.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    n = len(labels)
    random = np.random.default_rng(seed)
    truth, *guesses = (given.astype(float) if given.ndim > 1 else np.eye(classes)[given] for given in (labels, first, second))
    differences = []
    step = max(1, CELLS // max(n, classes))
    for start in range(0, DRAWS, step):
        draws = np.zeros((min(step, DRAWS - start), n))
        for weight, stratum in strata(weights):
            count = int(stratum.sum())
            draws[:, stratum] = weight * random.multinomial(count, np.full(count, 1 / count), size=len(draws))
        drawn = []
        for guess in guesses:
            hits, sizes = draws @ (truth * guess), draws @ (truth + guess)
            f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
            drawn.append(f1.sum(axis=1) / np.maximum((sizes > 0).sum(axis=1), 1))
        differences.append(drawn[1] - drawn[0])
    difference = np.round(np.concatenate(differences), 12)  # equal but for rounding is a tie
    low, high = np.percentile(difference, [2.5, 97.5])
    return float((difference > 0).mean() + (difference == 0).mean() / 2), (float(low), float(high))


def strata(weights: Floats) -> Iterator[tuple[float, NDArray[np.bool_]]]:
    """Each stratum of n images: its weight, and its images, bool (n,). Two of equal weight are as good as one."""
    for weight in np.unique(weights):
        yield float(weight), weights == weight


def _intervals(
    predicted: Classes, labels: Classes, weights: Floats, present: NDArray[np.bool_], seed: int
) -> tuple[Interval, Interval]:
    """Central 95 % ranges of macro F1 and of accuracy under the posterior of the confusion matrix.

    present: bool (C,), classes that occur. The others stand in the posterior as one more, which can be confused with the rest
    but whose own F1 does not count. The cells of a stratum are drawn together (Gamma of count + prior, scaled to the stratum's
    share of the pool, that is a Dirichlet; cf. Goutte & Gaussier 2005), since one error misses two classes at once. Unlike a
    bootstrap this stays honest where a small sample shows no error.
    """
    counted = int(present.sum())
    rows = counted + int(counted < len(present))
    number = np.cumsum(present) - 1  # of a class among those present
    cell = number[labels] * rows + number[predicted]
    prior = _prior(rows, float(np.average(predicted == labels, weights=weights)), effective_size(weights))
    random = np.random.default_rng(seed)
    macro, accuracy = [], []
    step = max(1, CELLS // rows**2)
    for start in range(0, DRAWS, step):
        draws = min(step, DRAWS - start)
        confusion = np.zeros((draws, rows, rows))
        for weight, stratum in strata(weights):
            share = weight * stratum.sum() / weights.sum()
            counts = np.bincount(cell[stratum], minlength=rows * rows).reshape(rows, rows)
            cells = random.gamma(counts + share * prior, size=(draws, rows, rows))
            confusion += share * cells / cells.sum(axis=(1, 2), keepdims=True)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        f1 = 2 * hits / (confusion.sum(axis=1) + confusion.sum(axis=2))
        accuracy.append(hits.sum(axis=1))
        macro.append(f1[:, :counted].mean(axis=1))
    return _central(macro), _central(accuracy)


def _central(drawn: list[Floats]) -> Interval:
    low, high = np.percentile(np.concatenate(drawn), [2.5, 97.5])
    return float(low), float(high)


def _prior(rows: int, accuracy: float, n: float) -> Floats:
    """What the posterior of a confusion matrix of so many rows begins with, float64 (rows, rows): one image in each row.

    It is a hit as often as all images are, by `accuracy` on n of them, but misses of half an image in all rows together are
    left at least. With half a miss in each row instead, intervals of ten classes and 100 images lie so low that they hold the
    truth 82 times in 100 where the accuracy is 0.8, and 54 times where it is 0.95; with this one 91 and 93 times.
    """
    miss = max(1 - (accuracy * n + 0.5) / (n + 1), 0.5 / rows)
    prior = np.full((rows, rows), miss / max(rows - 1, 1))
    np.fill_diagonal(prior, 1 - miss)
    return prior


def calibration_error(probabilities: NDArray[np.floating], labels: Classes, weights: Floats | None = None) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins (Naeini 2015)."""
    weights = np.ones(len(labels)) if weights is None else weights
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights * (confidence - correct))
    return float(np.abs(gaps).sum() / weights.sum())
