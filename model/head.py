"""The classifier on embeddings: multinomial logistic regression, class-balanced and calibrated.

Classes that nobody has labelled yet share out probability by the rule of succession: with n labels and C classes each of
them gets 1 / (n + C), the labelled classes share the rest. So an unseen class never wins, images of it still look
uncertain rather than impossible, and the treatment fades as labels come in.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from model.calibration import best_temperature

INVERSE_REGULARISATION = 50.0  # C, on L2-normalised embeddings; flat between 20 and 160 on three photo sets, random labels
FOLDS = 5
TEMPERATURE_PRIOR = 0.7  # standard deviation of log temperature: with few labels it stays near 1

Floats = NDArray[np.float32]


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


def fit_head(
    embeddings: Floats, labels: NDArray[np.int64], classes: int, seed: int = 0, unseen: NDArray[np.bool_] | None = None
) -> Head:
    """Fit a head on n >= 1 labelled images.

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
    weights, bias = _fit(embeddings, labels, classes)
    judged = np.ones(len(labels), bool) if unseen is None else unseen
    return Head(weights, bias, _temperature(embeddings, labels, classes, seed, judged), counts)


def cross_fit(
    embeddings: Floats, labels: NDArray[np.int64], classes: int, held: NDArray[np.bool_], temperature: float, seed: int = 0
) -> Floats:
    """Probabilities of the `held` images by heads that never saw them: float32 of shape (held.sum(), classes).

    The held images are split into folds; each fold is predicted by a head fitted on every other labelled image.
    """
    where = np.flatnonzero(held)
    out = np.zeros((len(where), classes), np.float32)
    folds = np.random.default_rng(seed).permutation(len(where)) % min(FOLDS, max(len(where), 1))
    for fold in np.unique(folds):
        train = np.ones(len(labels), bool)
        train[where[folds == fold]] = False
        if not train.any():
            out[folds == fold] = 1.0 / classes
            continue
        weights, bias = _fit(embeddings[train], labels[train], classes)
        head = Head(weights, bias, temperature, np.bincount(labels[train], minlength=classes))
        out[folds == fold] = head.probabilities(embeddings[where[folds == fold]])
    return out


def _fit(embeddings: Floats, labels: NDArray[np.int64], classes: int) -> tuple[Floats, Floats]:
    """Weights (classes, D) and bias (classes,); rows of classes without a label are zero.

    With fewer images than dimensions the fit runs in the span of the images: the regularised solution lies there, so
    this changes nothing but the time.
    """
    weights = np.zeros((classes, embeddings.shape[1]), np.float32)
    bias = np.zeros(classes, np.float32)
    seen = np.unique(labels)
    if len(seen) < 2:
        return weights, bias
    inputs, basis = _span(embeddings)
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", max_iter=1000, tol=1e-4)
    model.fit(inputs, labels)
    rows = model.coef_ if basis is None else model.coef_ @ basis
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


def _temperature(embeddings: Floats, labels: NDArray[np.int64], classes: int, seed: int, judged: NDArray[np.bool_]) -> float:
    """The temperature that fits out-of-fold logits of the `judged` images best, drawn towards 1 by a log-normal prior."""
    present, inverse = np.unique(labels, return_inverse=True)
    smallest = int(np.bincount(inverse).min())
    if len(present) < 2 or smallest < 2 or not judged.any():
        return 1.0
    logits = np.zeros((len(labels), len(present)))
    folds = StratifiedKFold(min(FOLDS, smallest), shuffle=True, random_state=seed)
    for train, test in folds.split(embeddings, labels):
        weights, bias = _fit(embeddings[train], labels[train], classes)
        logits[test] = embeddings[test] @ weights[present].T + bias[present]

    return best_temperature(logits[judged], inverse[judged], TEMPERATURE_PRIOR)
