"""One label from several people's answers: they weigh by how often each is right, and what the head sees counts as well.

The head is one of the voters, and the one that saves most: it saw every image, never tires, and its errors are not theirs. No
image is judged by a head that learned its label: images with a majority are cross-fitted, tied ones are not learned.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from model.heads.calibration import best_temperature
from model.heads.dawid_skene import Answers, dawid_skene
from model.heads.head import TEMPERATURE_PRIOR, Head, cross_fit
from model.heads.learner import Learner

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
FEWEST = 20  # images with a majority, of two classes, before which a head says too little
SURE = 0.7  # how probable a class must be, where answers are tied, for nobody else to be asked
DOUBTFUL = 0.5  # how probable a label of one person may be for somebody else to be asked about it
AT_MOST = 0.5  # of the answers of a round that go to doubtful labels
LEARNED = 3000  # images of which heads learn, at most, drawn at random: more would take long and change little


@dataclass(frozen=True)
class Weighed:
    """labels: the most probable class among those that people gave each image, int64 (N,); sureness: how probable that class
    is, float64 (N,); right: how often each person is right, float64 (P,)."""

    labels: Integers
    sureness: Floats
    right: Floats


def majority(answers: Answers) -> Integers:
    """The class with most answers of each image, int64 (N,); -1 where two have as many, or nobody answered."""
    votes = answers.votes()
    most = votes.max(axis=1, keepdims=True)
    return np.where((votes == most).sum(axis=1) == 1, votes.argmax(axis=1), -1)


def weigh(
    answers: Answers,
    embeddings: NDArray[np.float32],
    known: Integers | None = None,
    seen: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Weighed | None:
    """The labels that `answers` amount to; None before a head can tell, when to weigh people alone is no better than to count.

    embeddings: of the N images, float32 (N, D); known: the
    class of images with ground truth, int64 (N,), else -1; seen: those with an embedding, bool (N,), all by default: of the
    others people alone tell.
    """
    known = np.full(answers.number, -1) if known is None else known
    seen = np.ones(answers.number, bool) if seen is None else seen
    beforehand = _by_the_head(np.where(known >= 0, known, majority(answers)), embeddings, seen, answers.classes, seed)
    if beforehand is None:
        return None
    estimated = dawid_skene(answers, beforehand, known)
    given = answers.votes() > 0
    given[known >= 0] = True
    chosen = np.where(given | ~given.any(axis=1, keepdims=True), estimated.probabilities, -1.0).argmax(axis=1)
    shares = estimated.probabilities.sum(axis=0) / max(answers.number, 1)
    right = np.einsum("pcc,c->p", estimated.tables, shares)
    return Weighed(chosen, estimated.probabilities[np.arange(answers.number), chosen], right)


def _by_the_head(
    labels: Integers,
    embeddings: NDArray[np.float32],
    seen: NDArray[np.bool_],
    classes: int,
    seed: int,
) -> Floats | None:
    """What heads think of each image that did not learn its label, float64 (N, C): the same of all classes where there is no
    embedding. None before there are FEWEST labels of two classes."""
    rows = np.flatnonzero((labels >= 0) & seen)
    if len(rows) < FEWEST or len(np.unique(labels[rows])) < 2:
        return None
    taught = np.zeros(len(labels), bool)
    taught[np.random.default_rng(seed).permutation(rows)[:LEARNED]] = True
    others, everything = seen & ~taught, np.ones(int(taught.sum()), bool)
    learner = Learner(embeddings[taught], labels[taught], classes, seed=seed)  # a pool helps no more, and takes long
    bold = np.log(cross_fit(learner, everything, temperature=1.0).astype(np.float64))
    temperature = best_temperature(bold, learner.labels, TEMPERATURE_PRIOR)
    thought = np.full((len(labels), classes), 1 / classes)
    thought[taught] = softmax(bold / temperature, axis=1)
    if others.any():
        (weights,), (bias,) = learner.fit(everything[None])
        head = Head(weights, bias, temperature, np.bincount(learner.labels, minlength=classes))
        thought[others] = head.probabilities(embeddings[others])
    return thought
