"""What a strategy is asked: the unlabelled images as the current model sees them."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import chunks, rowwise
from strategies.arrays.hashing import generator, uniform_hash

Rows = NDArray[np.int64] | slice
Committee = Callable[[Rows], NDArray[np.floating]]


@dataclass(frozen=True)
class Query:
    """N unlabelled images of C classes, and what is labelled already.

    tasks: their ids, int64 of shape (N,); probabilities: of shape (N, C), rows sum to 1.
    independent: an image may be of several classes or of none: each probability stands for itself, `labels` are bool (M, C).
    embeddings: L2-normalised, of shape (N, D), any float type, may be a memory map; labelled: embeddings of what is labelled,
    of shape (M, D); labels: their classes, int64 of shape (M,); labelled_probabilities: of those by the model, of shape (M, C).
    committee: class probabilities of shape (T, n, C) by T heads for n rows of the pool, given as int64 of shape (n,) or as a
    slice.
    batch: labels given before the next query, so that the first `batch` picks, the first 2 `batch` ... should each be good;
    0: as many as are asked for. seed: names the model version, so that what is random changes from version to version and
    is the same on every call within one.

    Raises ValueError on shapes that do not fit and on values that are no probabilities or classes. Embeddings are looked at
    only when a strategy reads them: a million of them would take a while.
    """

    tasks: NDArray[np.int64]
    probabilities: NDArray[np.floating]
    _: KW_ONLY
    embeddings: NDArray[np.floating] | None = None
    labelled: NDArray[np.floating] | None = None
    labels: NDArray[np.int64] | NDArray[np.bool_] | None = None
    labelled_probabilities: NDArray[np.floating] | None = None
    committee: Committee | None = None
    batch: int = 0
    seed: str = ""
    independent: bool = False

    def __post_init__(self) -> None:
        p, e = self.probabilities, self.embeddings
        if p.ndim != 2 or p.shape[1] == 0 or self.tasks.shape != (len(p),):
            raise ValueError(f"probabilities of shape {p.shape} do not fit tasks of shape {self.tasks.shape}")
        for rows in chunks(*p.shape):
            _check_probabilities(p[rows], self.independent)
        if e is not None and (e.ndim != 2 or len(e) != len(p)):
            raise ValueError(f"embeddings of shape {e.shape} do not fit tasks of shape {self.tasks.shape}")
        if self.labelled is not None:
            _check_labelled(self.labelled, e)
        if self.labels is not None:
            _check_labels(self.labels, self.labelled, p.shape[1], self.independent)
        if self.labelled_probabilities is not None:
            _check_labelled_probabilities(self.labelled_probabilities, self.labelled_count, p.shape[1], self.independent)
        if self.batch < 0:
            raise ValueError(f"batch={self.batch} must be the number of labels before the next query, or 0")

    def __len__(self) -> int:
        return len(self.tasks)

    @cached_property
    def hashes(self) -> NDArray[np.float64]:
        """A uniform number in [0, 1) for each task, of shape (N,)."""
        return uniform_hash(self.tasks, self.seed)

    @cached_property
    def top_two(self) -> NDArray[np.float64]:
        """The largest and the second largest probability of each image, of shape (N, 2); with one class the second is 0. Where
        classes are independent: of what the head is least sure of, whether an image is of one of them, the two answers'."""
        return rowwise(_least_sure if self.independent else _top_two, self.probabilities)

    @cached_property
    def margins(self) -> NDArray[np.float64]:
        """p1 - p2, the gap between the two largest probabilities, of shape (N,) in [0, 1]."""
        return np.clip(self.top_two[:, 0] - self.top_two[:, 1], 0, 1)

    def generator(self, purpose: str) -> np.random.Generator:
        """Random numbers that depend on the seed and on what they are for."""
        return generator(f"{self.seed}/{purpose}")

    def only(self, rows: NDArray[np.int64]) -> "Query":
        """The same query of `rows`, int64 of shape (n,), of the pool alone."""
        committee = self.committee
        return replace(
            self,
            tasks=self.tasks[rows],
            probabilities=self.probabilities[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            committee=None if committee is None else lambda asked: committee(rows[asked]),
        )

    def vectors(self, rows: Rows = slice(None)) -> NDArray[np.float32]:
        """Embeddings of `rows`, float32 of shape (n, D), not to be written to. Raises ValueError where there are none or not
        finite."""
        if self.embeddings is None:
            raise ValueError("this strategy needs embeddings, and the query has none: give it embeddings of shape (N, D)")
        vectors = np.ascontiguousarray(self.embeddings[rows], np.float32)
        with np.errstate(invalid="ignore"):  # of infinities that cancel out, which is what is looked for
            finite = np.isfinite(vectors.sum(axis=1))
        if not finite.all():
            wrong = self.tasks[rows][~finite]
            raise ValueError(f"embeddings of {len(wrong)} tasks are not finite ({wrong[:5].tolist()} ...): embed them again")
        return vectors

    def labelled_vectors(self, rows: slice = slice(None)) -> NDArray[np.float32]:
        """Embeddings of labelled images, float32 of shape (m, D), not to be written to; no rows where none is labelled. Raises
        ValueError where they are not finite."""
        if self.labelled is None:
            return np.zeros((0, self.vectors(slice(0, 0)).shape[1]), np.float32)
        vectors = np.ascontiguousarray(self.labelled[rows], np.float32)
        if not np.isfinite(vectors).all():
            raise ValueError("embeddings of labelled images are not finite: embed them again")
        return vectors

    @property
    def labelled_count(self) -> int:
        """M, the number of labelled images whose embeddings are known."""
        return 0 if self.labelled is None else len(self.labelled)


def _check_probabilities(p: NDArray[np.floating], independent: bool) -> None:
    if independent and not (np.isfinite(p).all() and (p >= 0).all() and (p <= 1).all()):
        raise ValueError("probabilities must be finite and in [0, 1]")
    if independent:
        return
    if not np.isfinite(p).all() or (p < 0).any() or (abs(p.sum(axis=1, dtype=np.float64) - 1) > 0.01).any():
        raise ValueError("probabilities must be finite, in [0, 1], and sum to 1 in each row")


def _check_labelled(labelled: NDArray[np.floating], embeddings: NDArray[np.floating] | None) -> None:
    if labelled.ndim != 2 or (embeddings is not None and labelled.shape[1] != embeddings.shape[1]):
        of = None if embeddings is None else embeddings.shape
        raise ValueError(f"labelled of shape {labelled.shape} does not fit embeddings of shape {of}: both need D columns")


def _check_labelled_probabilities(p: NDArray[np.floating], labelled: int, classes: int, independent: bool) -> None:
    if p.shape != (labelled, classes):
        raise ValueError(
            f"labelled_probabilities of shape {p.shape} do not fit {labelled} labelled images of {classes} classes"
        )
    for rows in chunks(*p.shape):
        _check_probabilities(p[rows], independent)


def _check_labels(
    labels: NDArray[np.int64] | NDArray[np.bool_], labelled: NDArray[np.floating] | None, classes: int, independent: bool
) -> None:
    wrong = labels.shape[1:] != (classes,) or labels.dtype != np.bool_ if independent else labels.ndim != 1
    if wrong or (labelled is not None and len(labels) != len(labelled)):
        of = None if labelled is None else labelled.shape
        raise ValueError(f"labels of shape {labels.shape} do not fit labelled of shape {of}")
    if not independent and len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, outside the {classes} classes of the probabilities"
        )


def _top_two(p: NDArray[np.floating]) -> NDArray[np.float64]:
    p = p.astype(np.float64)
    if p.shape[1] == 1:
        return np.hstack([p, np.zeros_like(p)])
    return -np.partition(-p, 1, axis=1)[:, :2]


def _least_sure(p: NDArray[np.floating]) -> NDArray[np.float64]:
    surest = np.maximum(p, 1 - p).min(axis=1).astype(np.float64)
    return np.stack([surest, 1 - surest], axis=1)
