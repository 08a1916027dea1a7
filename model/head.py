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

from model.calibration import best_temperature
from model.learner import Learner
from model.logistic import Coefficients, Floats

FOLDS = 5
PART = 4096  # images whose embeddings are read at once
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

    @property
    def separates(self) -> bool:
        """Whether it has seen two classes: until then uncertainty means nothing."""
        return int((self.counts > 0).sum()) >= 2

    def probabilities(self, embeddings: NDArray[np.floating]) -> Floats:
        """Calibrated class probabilities, float32 of shape (N, C), of `embeddings` of shape (N, D) and any float type, read in
        parts. Those of a row that is not finite are NaN."""
        seen = self.counts > 0
        return self._probabilities(_products(embeddings, self.weights[seen]))

    def _probabilities(self, products: Floats) -> Floats:
        """From the products with the weights of the classes that have labels, of shape (N, those)."""
        seen = self.counts > 0
        n, classes = int(self.counts.sum()), len(self.counts)
        out = np.full((len(products), classes), 1.0 / (n + classes), np.float32)
        share = 1.0 - np.count_nonzero(~seen) / (n + classes)
        out[:, seen] = share * softmax((products + self.bias[seen]) / self.temperature, axis=1)
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


def probabilities_of_each(heads: Sequence[Head], embeddings: NDArray[np.floating]) -> Floats:
    """What each of T heads gives for `embeddings`, (N, D), float32 of shape (T, N, C): as one by one, in a single matrix
    product, which is several times as fast."""
    weights = [head.weights[head.counts > 0] for head in heads]
    products = np.split(_products(embeddings, np.vstack(weights)), np.cumsum([len(w) for w in weights])[:-1], axis=1)
    return np.stack([head._probabilities(part) for head, part in zip(heads, products, strict=True)])


def _products(embeddings: NDArray[np.floating], weights: Floats) -> Floats:
    """Of `embeddings`, (N, D), read in parts, with each of `weights`, (K, D): float32 (N, K)."""
    out = np.empty((len(embeddings), len(weights)), np.float32)
    for start in range(0, len(embeddings), PART):
        np.matmul(embeddings[start : start + PART].astype(np.float32, copy=False), weights.T, out=out[start : start + PART])
    return out


def fit_head(learner: Learner, unseen: NDArray[np.bool_] | None = None) -> Head:
    """A head fitted on all n labelled images of `learner`.

    The temperature is fitted on out-of-fold logits (Guo 1706.04599) of the images `unseen` by the backbone, bool of shape (n,),
    by default all: a retrained one is too sure of those it has learned.
    """
    everything = np.ones(len(learner.labels), bool)
    judged = everything if unseen is None else unseen
    folds = _stratified_folds(learner.labels, learner.seed) if judged.any() else np.zeros(0, np.int64)
    fits = [everything, *(folds != fold for fold in np.unique(folds))]
    weights, bias = learner.fit(np.stack(fits))
    temperature = 1.0
    if len(fits) > 1:
        present, inverse = np.unique(learner.labels, return_inverse=True)
        logits = np.empty((len(inverse), len(present)), np.float32)
        for fold, (w, b) in enumerate(zip(weights[1:, present], bias[1:, present], strict=True)):
            logits[folds == fold] = learner.embeddings[folds == fold] @ w.T + b
        temperature = best_temperature(logits[judged], inverse[judged], TEMPERATURE_PRIOR)
    return _heads(learner, everything[None], (weights[:1], bias[:1]), temperature)[0]


def cross_fit(learner: Learner, held: NDArray[np.bool_], temperature: float) -> Floats:
    """Probabilities of the `held` images, bool (n,), by heads that never saw their labels: float32 (held.sum(), classes).

    The held images are split into folds; each fold is predicted by a head fitted on every other labelled image.
    """
    where = np.flatnonzero(held)
    out = np.full((len(where), learner.classes), 1.0 / learner.classes, np.float32)
    folds = np.random.default_rng(learner.seed).permutation(len(where)) % min(FOLDS, max(len(where), 1))
    rows = np.ones((folds.max(initial=-1) + 1, len(held)), bool)
    rows[folds, where] = False
    if rows.any(axis=1).all() and len(rows):
        for fold, head in enumerate(_heads(learner, rows, learner.fit(rows), temperature)):
            out[folds == fold] = head.probabilities(learner.embeddings[where[folds == fold]])
    return out


def out_of_bag(learner: Learner, held: NDArray[np.bool_], sizes: Sequence[int]) -> NDArray[np.int64]:
    """Classes of the `held` images, bool (n,), by heads that learned fewer labels: int64 of shape (H, held.sum()).

    Head h is fitted on `sizes[h]` of the n labelled images, drawn at random. It answers -1 for those that it learned itself
    (Breiman 1996).
    """
    where, random = np.flatnonzero(held), np.random.default_rng(learner.seed)
    taught = np.stack([random.permutation(len(held)) < size for size in sizes])
    out = np.full((len(sizes), len(where)), -1, np.int64)
    for answers, rows, head in zip(out, taught, _heads(learner, taught, learner.fit(taught), temperature=1.0), strict=True):
        others = ~rows[where]
        answers[others] = head.probabilities(learner.embeddings[where[others]]).argmax(axis=1)
    return out


def _heads(learner: Learner, rows: NDArray[np.bool_], fits: Coefficients, temperature: float) -> list[Head]:
    """From `fits` on the labelled images `rows`, bool (F, n)."""
    counts = [np.bincount(learner.labels[one], minlength=learner.classes) for one in rows]
    return [Head(weights, bias, temperature, count) for weights, bias, count in zip(*fits, counts, strict=True)]


def _stratified_folds(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """At most FOLDS folds, int64 (n,), each with images of every class; none where a class is too small, or is the only one."""
    present, inverse = np.unique(labels, return_inverse=True)
    smallest = int(np.bincount(inverse).min())
    if len(present) < 2 or smallest < 2:
        return np.zeros(0, np.int64)
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    folds = np.empty(len(labels), np.int64)
    folds[order] = np.arange(len(labels)) % min(FOLDS, smallest)
    return folds
