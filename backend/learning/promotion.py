"""Whether a retrained backbone is better than the live one, judged on images that it has neither learned nor stopped on.

No Label Studio, no RQ, no disk in here.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.rounds import Labelled
from model.head import cross_fit
from model.learner import Learner
from model.logistic import Floats, Labels
from model.metrics import ENOUGH, effective_size, macro_f1, paired_bootstrap
from model.set_metrics import macro_f1_of_sets, predicted_sets
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
    """Macro F1 of both on the same n images, which tell as much as `effective` ones of equal weight. probability: that the
    new one is better on others like them; interval: central 95 % range of the difference, new minus live. None where n is
    0."""

    n: int
    effective: float = 0.0
    live: float | None = None
    new: float | None = None
    probability: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def promoted(self) -> bool:
        """Whether the new one is to be used."""
        return self.effective >= ENOUGH and (self.probability or 0) >= PROMOTE

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


def compare(live: Labelled, new: Floats, test: NDArray[np.bool_], classes: int) -> Comparison:
    """Compare two backbones on the images `test`, bool (n,), of n labelled ones: the one whose embeddings `live` holds, and
    the one whose embeddings of the same images are `new`, float32 (n, D).

    Each gets heads on the labels alone, since the new one has not embedded the pool yet; cross-fitted, so that no head has seen
    what it is judged on.
    """
    test = test & (live.weights > 0)
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
