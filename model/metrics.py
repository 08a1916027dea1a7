"""How good a classifier is on a random sample of the pool: macro F1 with its interval, per class, and calibration."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENOUGH = 30  # random-slot labels below which macro F1 is "too few yet": its standard deviation is about 7 points there
DRAWS = 4000
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
    low, high = _interval(hits[present], misses[present], seed)
    return Metrics(
        n=n,
        macro_f1=macro,
        interval=(min(low, macro), max(high, macro)),
        per_class=[float(value) if there else None for value, there in zip(f1, present, strict=True)],
        accuracy=float((predicted == labels).mean()),
        ece=_calibration_error(probabilities, labels),
        enough=n >= ENOUGH,
    )


def _interval(hits: NDArray[np.int64], misses: NDArray[np.int64], seed: int) -> tuple[float, float]:
    """Central 95 % range of macro F1 under each class's posterior (Goutte & Gaussier 2005, Jeffreys prior).

    F1 = U / (U + V) with U ~ Gamma(hits + 1/2, scale 2) and V ~ Gamma(false positives + false negatives + 1). Unlike a
    bootstrap it stays honest where a small sample shows no error.
    """
    random = np.random.default_rng(seed)
    u = 2 * random.gamma(hits + 0.5, size=(DRAWS, len(hits)))
    v = random.gamma(misses + 1.0, size=(DRAWS, len(hits)))
    low, high = np.percentile((u / (u + v)).mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean gap between confidence and accuracy over equal-width confidence bins (Naeini 2015)."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].mean() - correct[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))
