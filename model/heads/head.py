"""The classifier on embeddings: logistic regression, class-balanced and calibrated; multinomial, or of each class for itself.

Classes that nobody has labelled yet share out probability by the rule of succession: with n labels and C classes each of
them gets 1 / (n + C), the labelled classes share the rest. So an unseen class never wins, images of it still look
uncertain rather than impossible, and the treatment fades as labels come in.

Where an image may be of several classes or of none, there is a regression for each class (one against the rest), fitted with
its two answers weighing the same, so that a seldom class is found at all: on collages of photos, after 20 to 300 labels, macro
F1 is 3 to 9 points higher than with all images weighing the same, and the log loss 3 to 12 %. Of a class that has one answer
only, in k of n labels, the rule of succession tells too: (k + 1) / (n + 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.special import expit, softmax

from model.heads.calibration import best_temperature
from model.heads.learner import Learner
from model.heads.logistic import Coefficients, Floats

FOLDS = 5
PART = 4096  # images whose embeddings are read at once
MANY = 65_536  # images from which on torch is worth its start
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
    def independent(self) -> bool:
        """Whether an image may be of several classes or of none."""
        return False

    @property
    def learned(self) -> NDArray[np.bool_]:
        """The classes that it has learned, bool (C,)."""
        return self.counts > 0

    @property
    def separates(self) -> bool:
        """Whether it has seen two classes: until then uncertainty means nothing."""
        return int((self.counts > 0).sum()) >= 2

    def probabilities(self, embeddings: NDArray[np.floating]) -> Floats:
        """Calibrated class probabilities, float32 of shape (N, C), of `embeddings` of shape (N, D) and any float type, read in
        parts. Those of a row that is not finite are NaN."""
        return self._probabilities(_products(embeddings, self.weights[self.learned]))

    def _probabilities(self, products: Floats) -> Floats:
        """From the products with the weights of the classes that are learned, of shape (N, those)."""
        seen = self.learned
        n, classes = int(self.counts.sum()), len(self.counts)
        out = np.full((len(products), classes), 1.0 / (n + classes), np.float32)
        share = 1.0 - np.count_nonzero(~seen) / (n + classes)
        out[:, seen] = share * softmax((products + self.bias[seen]) / self.temperature, axis=1)
        return out

    def save(self, path: Path) -> None:
        """Write the head as a safetensors file."""
        save_file({name: np.ascontiguousarray(values) for name, values in self._tensors().items()}, path)

    def _tensors(self) -> dict[str, NDArray]:
        return {
            "weights": self.weights,
            "bias": self.bias,
            "temperature": np.array([self.temperature], np.float32),
            "counts": self.counts,
        }

    @classmethod
    def load(cls, path: Path) -> "Head":
        """Read what `save` wrote. Raises safetensors.SafetensorError or OSError where it cannot be read."""
        with safe_open(path, "np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        weights, bias, counts = tensors["weights"], tensors["bias"], tensors["counts"]
        temperature = float(tensors["temperature"][0])
        if "total" in tensors:
            return IndependentHead(weights, bias, temperature, counts, int(tensors["total"][0]))
        return Head(weights, bias, temperature, counts)


@dataclass(frozen=True)
class IndependentHead(Head):
    """Linear classifiers for C classes that do not exclude each other; total: labelled images it was trained on."""

    total: int

    @property
    def independent(self) -> bool:
        """See Head."""
        return True

    @property
    def learned(self) -> NDArray[np.bool_]:
        """The classes that it has learned, bool (C,): those of which it knows both answers."""
        return (self.counts > 0) & (self.counts < self.total)

    @property
    def separates(self) -> bool:
        """Whether it has learned any: until then uncertainty means nothing."""
        return bool(self.learned.any())

    @property
    def constant(self) -> Floats:
        """The probability of each class by the rule of succession, float32 (C,), which holds where it is not learned."""
        return ((self.counts + 1) / (self.total + 2)).astype(np.float32)

    def _probabilities(self, products: Floats) -> Floats:
        out = np.tile(self.constant, (len(products), 1))
        out[:, self.learned] = expit((products + self.bias[self.learned]) / self.temperature)
        return out

    def _tensors(self) -> dict[str, NDArray]:
        return super()._tensors() | {"total": np.array([self.total], np.int64)}


def probabilities_of_each(heads: Sequence[Head], embeddings: NDArray[np.floating]) -> Floats:
    """What each of T heads gives for `embeddings`, (N, D), float32 of shape (T, N, C): as one by one, in a single matrix
    product, which is several times as fast."""
    weights = [head.weights[head.learned] for head in heads]
    products = np.split(_products(embeddings, np.vstack(weights)), np.cumsum([len(w) for w in weights])[:-1], axis=1)
    return np.stack([head._probabilities(part) for head, part in zip(heads, products, strict=True)])


def _products(embeddings: NDArray[np.floating], weights: Floats) -> Floats:
    """Of `embeddings`, (N, D), read in parts, with each of `weights`, (K, D): float32 (N, K)."""
    if len(embeddings) > MANY and embeddings.dtype == np.float16:
        return _products_of_many(embeddings, weights)
    out = np.empty((len(embeddings), len(weights)), np.float32)
    for start in range(0, len(embeddings), PART):
        np.matmul(embeddings[start : start + PART].astype(np.float32, copy=False), weights.T, out=out[start : start + PART])
    return out


def _products_of_many(embeddings: NDArray[np.floating], weights: Floats) -> Floats:
    """As `_products`, by torch: numpy takes eight times as long to make float32 of float16."""
    import torch

    out, columns = torch.empty((len(embeddings), len(weights))), torch.from_numpy(np.ascontiguousarray(weights)).T
    read = torch.empty((PART, weights.shape[1]))
    for start in range(0, len(embeddings), PART):
        part = torch.from_numpy(np.require(embeddings[start : start + PART], requirements=["C", "W"]))
        torch.mm(read[: len(part)].copy_(part), columns, out=out[start : start + len(part)])
    return out.numpy()


def fit_head(learner: Learner, unseen: NDArray[np.bool_] | None = None) -> Head:
    """A head fitted on all n labelled images of `learner`.

    The temperature is fitted on out-of-fold logits (Guo 1706.04599) of the images `unseen` by the backbone, bool of shape (n,),
    by default all: a retrained one is too sure of those it has learned.
    """
    everything = np.ones(len(learner.labels), bool)
    judged = everything if unseen is None else unseen
    folds = _folds(learner) if judged.any() else np.zeros(0, np.int64)
    fits = [everything, *(folds != fold for fold in np.unique(folds))]
    weights, bias = learner.fit(np.stack(fits))
    temperature = 1.0
    if len(fits) > 1 and learner.independent:
        temperature = _temperature_of_each(learner, folds, judged, (weights[1:], bias[1:]))
    elif len(fits) > 1:
        present, inverse = np.unique(learner.labels, return_inverse=True)
        logits = np.empty((len(inverse), len(present)), np.float32)
        for fold, (w, b) in enumerate(zip(weights[1:, present], bias[1:, present], strict=True)):
            logits[folds == fold] = learner.embeddings[folds == fold] @ w.T + b
        temperature = best_temperature(logits[judged], inverse[judged], TEMPERATURE_PRIOR)
    return _heads(learner, everything[None], (weights[:1], bias[:1]), temperature)[0]


def cross_fit(learner: Learner, held: NDArray[np.bool_], temperature: float) -> Floats:
    """Probabilities of the `held` images, bool (n,), by heads that never saw their labels: float32 (held.sum(), classes).

    The held images are split into folds; each fold is predicted by a head fitted on every other labelled image, to which the
    fold is a part of the pool: what is found of these images so holds for those of the pool.
    """
    where = np.flatnonzero(held)
    ignorant = 1 / (2 if learner.independent else learner.classes)
    out = np.full((len(where), learner.classes), ignorant, np.float32)
    folds = np.random.default_rng(learner.seed).permutation(len(where)) % min(FOLDS, max(len(where), 1))
    rows = np.ones((folds.max(initial=-1) + 1, len(held)), bool)
    rows[folds, where] = False
    if rows.any(axis=1).all() and len(rows):
        for fold, head in enumerate(_heads(learner, rows, learner.fit(rows, among_pool=True), temperature)):
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


def out_of_bag_sets(learner: Learner, held: NDArray[np.bool_], sizes: Sequence[int]) -> NDArray[np.int8]:
    """Like `out_of_bag`, where an image may be of several classes: which of C classes the `held` images are taken to be of,
    int8 of shape (H, held.sum(), C), all -1 for an image that a head learned itself."""
    where, random = np.flatnonzero(held), np.random.default_rng(learner.seed)
    taught = np.stack([random.permutation(len(held)) < size for size in sizes])
    out = np.full((len(sizes), len(where), learner.classes), -1, np.int8)
    for answers, rows, head in zip(out, taught, _heads(learner, taught, learner.fit(taught), temperature=1.0), strict=True):
        others = ~rows[where]
        answers[others] = head.probabilities(learner.embeddings[where[others]]) >= 0.5
    return out


def _heads(learner: Learner, rows: NDArray[np.bool_], fits: Coefficients, temperature: float) -> list[Head]:
    """From `fits` on the labelled images `rows`, bool (F, n)."""
    if learner.independent:
        images = [(learner.labels[one].sum(axis=0), int(one.sum())) for one in rows]
        parts = zip(*fits, images, strict=True)
        return [IndependentHead(weights, bias, temperature, *known) for weights, bias, known in parts]
    counts = [np.bincount(learner.labels[one], minlength=learner.classes) for one in rows]
    return [Head(weights, bias, temperature, count) for weights, bias, count in zip(*fits, counts, strict=True)]


def _folds(learner: Learner) -> NDArray[np.int64]:
    """At most FOLDS folds of the labelled images, int64 (n,); none where there are too few."""
    n = len(learner.labels)
    if not learner.independent:
        return _stratified_folds(learner.labels, learner.seed)
    return np.random.default_rng(learner.seed).permutation(n) % min(FOLDS, n) if n > 1 else np.zeros(0, np.int64)


def _temperature_of_each(learner: Learner, folds: NDArray[np.int64], judged: NDArray[np.bool_], fits: Coefficients) -> float:
    """The temperature for classes that are independent, from the answers that the `fits` without each fold give to it."""
    logits, answers = [], []
    for fold, (weights, bias) in enumerate(zip(*fits, strict=True)):
        mine, learned = judged & (folds == fold), weights.any(axis=1)
        logits.append((learner.embeddings[mine] @ weights[learned].T + bias[learned]).ravel())
        answers.append(learner.labels[mine][:, learned].ravel())
    yes = np.concatenate(logits)
    if not len(yes):
        return 1.0
    return best_temperature(
        np.stack([np.zeros_like(yes), yes], axis=1), np.concatenate(answers).astype(np.int64), TEMPERATURE_PRIOR
    )


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
