"""The classifier on embeddings: multinomial logistic regression, class-balanced and calibrated.

Classes that nobody has labelled yet share out probability by the rule of succession: with n labels and C classes each of
them gets 1 / (n + C), the labelled classes share the rest. So an unseen class never wins, images of it still look
uncertain rather than impossible, and the treatment fades as labels come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.special import softmax
from sklearn.model_selection import StratifiedKFold

from model.calibration import best_temperature
from model.logistic import Coefficients, Floats, fit_logistic
from model.selftraining import SelfTraining

FOLDS = 5
POOL_HELPS = 2000  # labels, at most: with more the pool teaches nothing new
TEMPERATURE_PRIOR = 0.7  # standard deviation of log temperature: with few labels it stays near 1


@dataclass(frozen=True)
class Head:
    """A linear classifier for C classes on embeddings of D dimensions.

    weights: float32 of shape (C, D); bias: float32 of shape (C,); temperature: logits are divided by it;
    counts: labels a class was trained on, int64 of shape (C,).
    """

    weights: Floats
    bias: Floats
    temperature: float
    counts: NDArray[np.int64]

    def probabilities(self, embeddings: Floats) -> Floats:
        """Calibrated class probabilities, float32 of shape (N, C), of `embeddings` of shape (N, D)."""
        seen = self.counts > 0
        n, classes = int(self.counts.sum()), len(self.counts)
        out = np.full((len(embeddings), classes), 1.0 / (n + classes), np.float32)
        share = 1.0 - np.count_nonzero(~seen) / (n + classes)
        logits = (embeddings @ self.weights[seen].T + self.bias[seen]) / self.temperature
        out[:, seen] = share * softmax(logits, axis=1)
        return out

    def save(self, path: Path) -> None:
        """Write the head as a safetensors file."""
        tensors: dict[str, NDArray] = {
            "weights": self.weights,
            "bias": self.bias,
            "temperature": np.array([self.temperature], np.float32),
            "counts": self.counts,
        }
        save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read what `save` wrote. Raises safetensors.SafetensorError or OSError where it cannot be read."""
        with safe_open(path, "np") as file:
            return cls(
                file.get_tensor("weights"),
                file.get_tensor("bias"),
                float(file.get_tensor("temperature")[0]),
                file.get_tensor("counts"),
            )


class _Plain:
    """Fits on parts of n labelled images."""

    def __init__(self, embeddings: Floats, labels: NDArray[np.int64], classes: int) -> None:
        self._given = (embeddings, labels, classes)

    def fit(self, rows: NDArray[np.bool_]) -> Coefficients:
        embeddings, labels, classes = self._given
        return fit_logistic(embeddings[rows], labels[rows], classes)


class _WithPool(_Plain):
    """The same with the unlabelled pool, where it can help."""

    def __init__(self, embeddings: Floats, labels: NDArray[np.int64], classes: int, pool: Floats, seed: int) -> None:
        super().__init__(embeddings, labels, classes)
        self._labels = labels
        self._learner = SelfTraining(embeddings, labels, classes, pool, seed)

    def fit(self, rows: NDArray[np.bool_]) -> Coefficients:
        one_class = len(np.unique(self._labels[rows])) < 2
        return super().fit(rows) if one_class else self._learner.fit(rows)


def _learner(embeddings: Floats, labels: NDArray[np.int64], classes: int, pool: Floats | None, seed: int) -> _Plain:
    if pool is None or not len(pool) or len(labels) > POOL_HELPS or len(np.unique(labels)) < 2:
        return _Plain(embeddings, labels, classes)
    return _WithPool(embeddings, labels, classes, pool, seed)


def fit_head(
    embeddings: Floats,
    labels: NDArray[np.int64],
    classes: int,
    seed: int = 0,
    unseen: NDArray[np.bool_] | None = None,
    pool: Floats | None = None,
) -> Head:
    """Fit a head on n >= 1 labelled images, and the unlabelled `pool`, float32 (N, D), where one is given.

    embeddings: float32 of shape (n, D), L2-normalised; labels: int64 of shape (n,), in [0, classes).
    Each class weighs the same in the loss, whatever its count. The temperature is fitted on out-of-fold logits
    (Guo 1706.04599) of the images `unseen` by the backbone, bool of shape (n,), by default all: a retrained one is too sure of
    those it has learned. Raises ValueError on shapes or labels that do not fit.
    """
    if len(labels) == 0 or len(labels) != len(embeddings):
        raise ValueError(f"{len(labels)} labels do not fit {len(embeddings)} embeddings")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels outside [0, {classes})")
    counts = np.bincount(labels, minlength=classes)
    learner = _learner(embeddings, labels, classes, pool, seed)
    weights, bias = learner.fit(np.ones(len(labels), bool))
    judged = np.ones(len(labels), bool) if unseen is None else unseen
    return Head(weights, bias, _temperature(learner, embeddings, labels, seed, judged), counts)


def cross_fit(
    embeddings: Floats,
    labels: NDArray[np.int64],
    classes: int,
    held: NDArray[np.bool_],
    temperature: float,
    seed: int = 0,
    pool: Floats | None = None,
) -> Floats:
    """Probabilities of the `held` images by heads that never saw their labels: float32 of shape (held.sum(), classes).

    The held images are split into folds; each fold is predicted by a head fitted on every other labelled image, and on the
    `pool` where one is given.
    """
    where = np.flatnonzero(held)
    out = np.zeros((len(where), classes), np.float32)
    folds = np.random.default_rng(seed).permutation(len(where)) % min(FOLDS, max(len(where), 1))
    learner = _learner(embeddings, labels, classes, pool, seed) if len(where) else None
    for fold in np.unique(folds):
        train = np.ones(len(labels), bool)
        train[where[folds == fold]] = False
        if learner is None or not train.any():
            out[folds == fold] = 1.0 / classes
            continue
        weights, bias = learner.fit(train)
        head = Head(weights, bias, temperature, np.bincount(labels[train], minlength=classes))
        out[folds == fold] = head.probabilities(embeddings[where[folds == fold]])
    return out


def out_of_bag(
    embeddings: Floats,
    labels: NDArray[np.int64],
    classes: int,
    held: NDArray[np.bool_],
    sizes: Sequence[int],
    seed: int = 0,
    pool: Floats | None = None,
) -> NDArray[np.int64]:
    """Classes of the `held` images by heads that learned fewer labels: int64 of shape (H, held.sum()).

    Head h is fitted on `sizes[h]` of the n labelled images, drawn at random, and on the `pool` where one is given. It answers
    -1 for those that it learned itself (Breiman 1996).
    """
    where, random = np.flatnonzero(held), np.random.default_rng(seed)
    out = np.full((len(sizes), len(where)), -1, np.int64)
    learner = _learner(embeddings, labels, classes, pool, seed)
    for answers, size in zip(out, sizes, strict=True):
        taught = np.zeros(len(labels), bool)
        taught[random.permutation(len(labels))[:size]] = True
        head = Head(*learner.fit(taught), 1.0, np.bincount(labels[taught], minlength=classes))
        others = ~taught[where]
        answers[others] = head.probabilities(embeddings[where[others]]).argmax(axis=1)
    return out


def _temperature(learner: _Plain, embeddings: Floats, labels: NDArray[np.int64], seed: int, judged: NDArray[np.bool_]) -> float:
    """The temperature that fits out-of-fold logits of the `judged` images best, drawn towards 1 by a log-normal prior."""
    present, inverse = np.unique(labels, return_inverse=True)
    smallest = int(np.bincount(inverse).min())
    if len(present) < 2 or smallest < 2 or not judged.any():
        return 1.0
    logits = np.zeros((len(labels), len(present)))
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    for train, test in folds.split(embeddings, labels):
        weights, bias = learner.fit(np.isin(np.arange(len(labels)), train))
        logits[test] = embeddings[test] @ weights[present].T + bias[present]
    return best_temperature(logits[judged], inverse[judged], TEMPERATURE_PRIOR)
