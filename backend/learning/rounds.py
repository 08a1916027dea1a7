"""One active-learning round: labels and a pool in, a head, its metrics and a ranking out. No Label Studio, no RQ in here."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.audit import without_last_audits
from backend.learning.measuring import measured
from backend.learning.places import pool_places, queue_places
from backend.learning.slots import interleave
from model.embeddings.stored_embeddings import part_of
from model.heads.head import Head, fit_head, probabilities_of_each
from model.heads.learner import Learner
from model.heads.logistic import Labels
from model.measuring.set_metrics import predicted_sets
from model.threads import one_thread
from strategies import StrategyError, get, score
from strategies.query import Committee, Query

log = logging.getLogger(__name__)
COLD_START = "typiclust"  # draws the queue while the head cannot tell images apart
COMMITTEE = 10  # heads
PART = 4096  # images whose embeddings are looked at together
FEW = 20_000  # images up to which threads in a strategy's products wait for each other more than they help
Rows = NDArray[np.int64] | NDArray[np.bool_] | slice


@dataclass(frozen=True)
class Labelled:
    """n labelled images of a project, and what they say of it.

    tasks: int64 (n,); labels: int64 (n,), or bool (n, C) where an image may be of several classes or of none; embeddings:
    float32 (n, D); weights: float64 (n,), how many tasks of the project an image of the random sample stands for, 0 for the
    others; unseen: bool (n,), never seen by the backbone that made the embeddings;
    unjudged: tasks of the project that no image of the sample stands for.
    """

    tasks: NDArray[np.int64]
    labels: Labels
    embeddings: NDArray[np.float32]
    weights: NDArray[np.float64]
    unseen: NDArray[np.bool_]
    unjudged: int = 0

    @property
    def independent(self) -> bool:
        """Whether an image may be of several classes or of none."""
        return self.labels.ndim > 1

    @property
    def fair(self) -> NDArray[np.bool_]:
        """Images of the random sample that the backbone has not seen, bool (n,): those to judge on."""
        return (self.weights > 0) & self.unseen

    def only(self, rows: Rows) -> "Labelled":
        """The part of it in `rows`, in their order."""
        return replace(
            self,
            tasks=self.tasks[rows],
            labels=self.labels[rows],
            embeddings=self.embeddings[rows],
            weights=self.weights[rows],
            unseen=self.unseen[rows],
        )


@dataclass(frozen=True)
class Pool:
    """N unlabelled images. tasks: int64 (N,); embeddings: (N, D), of any float type, or what
    stands for so many (`StoredEmbeddings`); turns: int64 (N,), in which they are
    drawn for the random sample (`RandomSample.turns`): the lowest come first in random slots; audits: bool (N,), accepted
    images, which stand in random slots alone, None for none of them."""

    tasks: NDArray[np.int64]
    embeddings: NDArray[np.floating]
    turns: NDArray[np.int64]
    audits: NDArray[np.bool_] | None = None

    @property
    def to_pick(self) -> Rows:
        """Those that a strategy may pick; a slice of all, which copies nothing, where that is all of them."""
        return slice(None) if self.audits is None or not self.audits.any() else ~self.audits

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that a person must label."""
        return not len(self.tasks[self.to_pick])

    def only(self, rows: Rows) -> "Pool":
        """The part of it in `rows`, in their order."""
        return Pool(
            self.tasks[rows],
            part_of(self.embeddings, rows),
            self.turns[rows],
            None if self.audits is None else self.audits[rows],
        )


@dataclass(frozen=True)
class Rules:
    """How a queue is drawn: strategy, size K, share of random slots, and how many images one batch of labels covers."""

    strategy: str
    size: int
    explore: float
    batch: int


@dataclass(frozen=True)
class Ranking:
    """A queue of K tasks, first to label first.

    tasks: int64 (K,); places: float64 (K,), `prediction.score`; slots: bool (K,), random slots; probabilities: float32 (K, C),
    those of the head, None while it cannot tell classes apart.
    """

    tasks: NDArray[np.int64]
    places: NDArray[np.float64]
    slots: NDArray[np.bool_]
    probabilities: NDArray[np.float32] | None

    def at(self, places: NDArray[np.float64]) -> "Ranking":
        """The same queue at other places."""
        return replace(self, places=places)

    def only(self, tasks: set[int]) -> "Ranking":
        """The queue without tasks that are not among `tasks`."""
        keep = np.isin(self.tasks, list(tasks))
        probabilities = None if self.probabilities is None else self.probabilities[keep]
        return Ranking(self.tasks[keep], self.places[keep], self.slots[keep], probabilities)


def train(labelled: Labelled, pool: Pool, classes: int, seed: int = 0) -> tuple[Head | None, dict[str, Any]]:
    """The head that ships, from every label and the pool, and its metrics, which rest on the random sample as far as the
    backbone has not seen it.

    "gain" among them is what the next labels are expected to bring, "judged" are the images behind the confusion matrix: their
    tasks, true classes and predicted ones. Where an image may be of several classes there is no such matrix, and "slots" are
    how many of these images are of each class. Without labels there is no head.
    """
    labelled = labelled.only(_finite_rows(labelled.embeddings))
    if not len(labelled.labels):
        return None, {}
    learner = Learner(labelled.embeddings, labelled.labels, classes, pool.embeddings, seed)
    head = fit_head(learner, labelled.unseen)
    fair = labelled.fair
    metrics, guesses, gain = measured(learner, head, pool.embeddings, fair, _weights_among(labelled, fair))
    about = metrics.as_dict() | {"gain": gain, "unjudged": labelled.unjudged}
    truths = labelled.labels[fair]
    if learner.independent:
        return head, about | {"slots": truths.sum(axis=0).tolist()}
    judged = {"tasks": labelled.tasks[fair], "truths": truths, "guesses": guesses}
    return head, about | {"judged": {name: values.tolist() for name, values in judged.items()}}


def _weights_among(labelled: Labelled, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of the `chosen` images of the random sample, bool (n,), which then stand for the others of their stratum too."""
    weights = labelled.weights[chosen].copy()
    for weight in np.unique(weights):
        weights[weights == weight] = weight * (labelled.weights == weight).sum() / (weights == weight).sum()
    return weights


def _finite_rows(rows: NDArray[np.floating]) -> Rows:
    """Those of `rows`, (N, D), without NaN or infinity, bool (N,); a slice of all, which copies nothing, where that is all of
    them. An embedding that is not finite would make every weight of a head NaN."""
    parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
    finite = np.concatenate([np.zeros(0, bool), *(np.isfinite(part.sum(axis=1, dtype=np.float32)) for part in parts)])
    if finite.all():
        return slice(None)
    log.error("The embeddings of %d of %d images are not finite: these are left out", (~finite).sum(), len(finite))
    return finite


def separates(head: Head | None) -> bool:
    """Whether the head has seen two classes: until then uncertainty means nothing."""
    return head is not None and head.separates


def rank(
    head: Head | None, pool: Pool, labelled: Labelled, rules: Rules, version: str, waiting: NDArray[np.float32] | None = None
) -> Ranking:
    """The queue of at most `rules.size` images: picks of the strategy with random slots between them.

    waiting: embeddings of images that will be labelled before these, float32 (W, D). To the strategy they are labelled, by the
    head's own guess.
    """
    labelled = labelled.only(_finite_rows(labelled.embeddings))
    probabilities = head.probabilities(pool.embeddings) if head else np.ones((len(pool.tasks), 1), np.float32)
    finite = _finite_rows(probabilities if head else pool.embeddings)  # without a head nothing has read the embeddings yet
    pool, probabilities = pool.only(finite), probabilities[finite]
    known = labelled.embeddings if waiting is None else np.vstack([labelled.embeddings, waiting])
    of_known = head.probabilities(known) if head else None
    open_ones = pool.only(pool.to_pick)
    query = Query(
        open_ones.tasks,
        probabilities[pool.to_pick],
        embeddings=open_ones.embeddings,
        labelled=known,
        labels=None if of_known is None else _with_guesses(labelled, of_known[len(labelled.labels) :]),
        labelled_probabilities=of_known,
        committee=_committee(head, open_ones, labelled),
        batch=rules.batch,
        seed=version,
        independent=head is not None and head.independent,
    )
    strategy = get(rules.strategy)
    chosen: NDArray[np.int64] = np.zeros(0, np.int64)
    with one_thread() if len(pool.tasks) <= FEW else nullcontext():
        if not pool.is_done:
            chosen = (strategy if strategy.headless or separates(head) else get(COLD_START)).order(query, rules.size)
    slots = np.argsort(pool.turns, kind="stable")[: rules.size]
    picks, before = open_ones.tasks[chosen], len(known)
    tasks, is_slot = interleave(picks, pool.tasks[slots], pool.turns[slots], rules.size, rules.explore, before)
    if pool.audits is not None:
        needed = without_last_audits(tasks, pool.tasks[pool.audits])
        tasks, is_slot = tasks[:needed], is_slot[:needed]
    told = probabilities[_positions(pool.tasks, tasks)] if separates(head) else None
    return Ranking(tasks, queue_places(len(tasks)), is_slot, told)


def _with_guesses(labelled: Labelled, probabilities: NDArray[np.float32]) -> Labels:
    """The labels, and behind them what the head guesses by `probabilities`, (W, C)."""
    if labelled.independent:
        return np.vstack([labelled.labels, predicted_sets(probabilities)])
    return np.append(labelled.labels, probabilities.argmax(axis=1))


def rank_anyway(
    head: Head | None, pool: Pool, labelled: Labelled, rules: Rules, version: str, waiting: NDArray[np.float32] | None = None
) -> tuple[Ranking, str]:
    """What `rank` gives, and ""; where the strategy fails, such as one of the user's own, a queue of random picks, and why."""
    try:
        return rank(head, pool, labelled, rules, version, waiting), ""
    except StrategyError as error:
        trouble = str(error)
    except Exception as error:
        log.exception("Version %s: strategy %s failed", version, rules.strategy)
        trouble = f"{rules.strategy}: {type(error).__name__}: {error}"
    log.error("Version %s: %s. Picks are random meanwhile.", version, trouble)
    return rank(head, pool, labelled, replace(rules, strategy="random"), version, waiting), trouble


def _committee(head: Head | None, pool: Pool, labelled: Labelled) -> Committee | None:
    """Heads on bootstraps of the labels, for BALD: a linear head has no dropout. Fitted when a strategy first asks them.

    They share the live head's temperature: folds of a bootstrap have images in common and would calibrate them wrongly.
    """
    if head is None:
        return None
    n, uncalibrated = len(labelled.labels), np.zeros(len(labelled.labels), bool)

    @cache
    def heads() -> list[Head]:
        if not n:  # every label was taken back
            return [head]
        draws = np.random.default_rng(0).integers(n, size=(COMMITTEE, n))
        learners = [Learner(labelled.embeddings[d], labelled.labels[d], len(head.counts)) for d in draws]
        return [replace(fit_head(learner, uncalibrated), temperature=head.temperature) for learner in learners]

    return lambda rows: probabilities_of_each(heads(), pool.embeddings[rows])


def place_outside_queue(
    head: Head | None, tasks: NDArray[np.int64], embeddings: NDArray[np.float32], strategy: str, version: str
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Places in [0.5, 1] of single tasks, float64 (N,), and their class probabilities, float32 (N, C), where known.

    A task gets the same place alone as in a batch. A strategy of the user's own that is gone, or wrong, costs the order among
    them, not their classes: places are random then.
    """
    if not separates(head):
        return pool_places(score("random", Query(tasks, np.ones((len(tasks), 1), np.float32), seed=version))), None
    assert head  # noqa: S101  for the type checker
    probabilities = head.probabilities(embeddings)
    query = Query(tasks, probabilities, embeddings=embeddings, seed=version, independent=head.independent)
    try:
        scores = score(strategy, query)
    except ValueError as error:
        log.error("Version %s: %s. Places outside the queue are random meanwhile.", version, error)
        scores = score("random", query)
    return pool_places(scores), probabilities


def _positions(among: NDArray[np.int64], tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(among)
    return order[np.searchsorted(among[order], tasks)] if len(tasks) else np.zeros(0, np.int64)
