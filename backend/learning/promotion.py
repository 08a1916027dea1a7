"""Whether a retrained backbone is better than the live one, judged on images that it has neither learned nor stopped on.

No Label Studio, no RQ, no disk in here.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.rounds import Labelled, Pool
from model.embeddings.stored_embeddings import part_of
from model.heads.head import cross_fit, fit_head
from model.heads.learner import Learner
from model.heads.logistic import Floats, Labels
from model.measuring.judgement import READ
from model.measuring.metrics import ENOUGH, effective_size, macro_f1, paired_bootstrap
from model.measuring.paired_judgement import judge_pair
from model.measuring.set_metrics import macro_f1_of_sets, predicted_sets
from strategies.arrays.hashing import uniform_hash

SEED = "test and stop fold"
PROMOTE = 0.9  # the probability of being better from which a backbone is promoted
TEST_SHARE = 0.2  # of the labels, kept for the test, at most; of the random slots half, but at least ENOUGH
STOP_SHARE = 0.15  # of the labels to learn, for the stop fold, at most ...
STOP_FROM = 60  # ... where the test leaves so many random slots; below it cross-validation finds the epochs


@dataclass(frozen=True)
class Split:
    """Parts of n labelled images, bool (n,) each: test, to judge on; stop, to stop on. The rest is learned."""

    test: NDArray[np.bool_]
    stop: NDArray[np.bool_]


def split(labelled: Labelled) -> Split:
    """Spare images of the random sample, unseen by the live backbone: first for the test, then for the stop fold.

    They are chosen by another hash than the sample, and so among all strata alike: those chosen keep their weights.
    """
    n = len(labelled.tasks)
    fair = np.flatnonzero(labelled.fair)
    fair = fair[np.argsort(uniform_hash(labelled.tasks[fair], SEED), kind="stable")]
    tested = min(len(fair), max(ENOUGH, min(round(TEST_SHARE * n), len(fair) // 2)))
    left = len(fair) - tested
    stopped = min(left, round(STOP_SHARE * (n - tested))) if left >= STOP_FROM else 0
    test, stop = np.zeros(n, bool), np.zeros(n, bool)
    test[fair[:tested]] = True
    stop[fair[tested : tested + stopped]] = True
    return Split(test, stop)


@dataclass(frozen=True)
class Comparison:
    """How two backbones compare by n labelled images, which tell as much as `effective` ones of equal weight.

    live, new: macro F1 of both; probability: that the new one's is higher; interval: central 95 % range of the difference, new
    minus live; all None where n is 0. unlabelled: whether that is said of the images without a label, and not of images like
    the n.
    """

    n: int
    effective: float = 0.0
    live: float | None = None
    new: float | None = None
    probability: float | None = None
    interval: tuple[float, float] | None = None
    unlabelled: bool = False

    @property
    def promoted(self) -> bool:
        """Whether the new one is to be used."""
        return self.effective >= ENOUGH and (self.probability or 0) >= PROMOTE

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Known:
    """What a project holds, as one backbone sees it: n labelled images, and N without a label."""

    labelled: Labelled
    pool: Pool


def compare(live: Known, new: Known, test: NDArray[np.bool_], classes: int) -> Comparison:
    """Compare two backbones by the labelled images `test`, bool (n,), which neither has seen; both know the same n.

    Each gets heads, cross-fitted, so that no head has seen what it is judged by. What they are to predict well is the images
    without a label, as far as both know them. Where there are none, or an image may be of several classes, the random slots
    among `test` stand for others.
    """
    pools = _common(live.pool, new.pool)
    if live.labelled.independent or not len(pools[0]):
        return _on_random_slots(live.labelled, new.labelled.embeddings, test & (live.labelled.weights > 0), classes)
    if not test.any():
        return Comparison(0, unlabelled=True)
    labels, at = live.labelled.labels, int(test.sum())
    of_pool, held = [], []
    for side, pool in zip((live.labelled, new.labelled), pools, strict=True):
        learner = Learner(side.embeddings, labels, classes, pool)
        head = fit_head(learner, side.unseen)
        of_pool.append(head.probabilities(pool))
        held.append(cross_fit(learner, test, head.temperature))
    found = judge_pair((of_pool[0], of_pool[1]), (held[0], held[1]), labels[test], head.counts)
    return Comparison(at, at, found.live, found.new, found.probability, found.interval, unlabelled=True)


def _common(live: Pool, new: Pool) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Embeddings of the images that are in both, (N, D) of any float type each; of at most READ of them, drawn at random."""
    _, *rows = np.intersect1d(live.tasks, new.tasks, return_indices=True)
    if len(rows[0]) > READ:
        drawn = np.sort(np.random.default_rng(0).choice(len(rows[0]), READ, replace=False))
        rows = [places[drawn] for places in rows]
    pools = [np.asarray(part_of(pool.embeddings, places)) for pool, places in zip((live, new), rows, strict=True)]
    finite = np.logical_and.reduce([np.isfinite(pool.sum(axis=1, dtype=np.float32)) for pool in pools])
    return pools[0][finite], pools[1][finite]


def _on_random_slots(live: Labelled, new: Floats, test: NDArray[np.bool_], classes: int) -> Comparison:
    """By paired bootstrap of the images `test` of the random sample, bool (n,). new: embeddings of the same images by the new
    backbone, float32 (n, D)."""
    if not test.any():
        return Comparison(0)
    labels, weights = live.labels, live.weights[test]
    truth = labels[test]
    learners = [Learner(embeddings, labels, classes) for embeddings in (live.embeddings, new)]
    guesses: list[Labels] = [_predicted(cross_fit(learner, test, temperature=1.0), live.independent) for learner in learners]
    f1_live, f1_new = (_macro_f1(guess, truth, classes, weights) for guess in guesses)
    probability, interval = paired_bootstrap(guesses[0], guesses[1], truth, classes, weights)
    return Comparison(len(truth), effective_size(weights), f1_live, f1_new, probability, interval)


def _predicted(probabilities: Floats, independent: bool) -> Labels:
    return predicted_sets(probabilities) if independent else probabilities.argmax(axis=1)


def _macro_f1(guess: Labels, truth: Labels, classes: int, weights: NDArray[np.float64]) -> float:
    return macro_f1_of_sets(guess, truth, weights) if truth.ndim > 1 else macro_f1(guess, truth, classes, weights)
