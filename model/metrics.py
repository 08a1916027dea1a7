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
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    misses = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes) - 2 * hits
    present = hits + misses > 0
    f1 = np.divide(2 * hits, 2 * hits + misses, out=np.zeros(classes), where=present)
    macro = float(f1[present].mean())
    confusion = np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    low, high = _interval(confusion[np.ix_(present, present)], classes > present.sum(), seed)
    return Metrics(
        n=n,
        macro_f1=macro,
        interval=(min(low, macro), max(high, macro)),
        per_class=[float(value) if there else None for value, there in zip(f1, present, strict=True)],
        accuracy=float((predicted == labels).mean()),
        ece=_calibration_error(probabilities, labels),
        enough=n >= ENOUGH,
    )


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


def _calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins (Naeini 2015)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))
