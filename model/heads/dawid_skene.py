"""What an image is, from the answers of several people who err, each in their own way.

A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm (Applied Statistics
28, 1979): each person has a table of how often they answer which class where another is true; the EM algorithm finds tables
and true classes together. Two things are added. Few answers say little about a table, so each is drawn to one that knows only
how often its person is right, and that to how often all are (a Dirichlet prior, whose mode is found). And what a classifier
that never saw the answers thinks of an image may take the place of the classes' shares (Raykar et al., Learning From Crowds,
JMLR 11, 2010).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
WORTH = 10.0  # answers that what is expected of a person, or of all, is worth
RIGHT = 0.8  # how often people are right, as far as nothing tells
STEPS, CLOSE = 200, 1e-6  # of EM: at most; and the change of a probability at which it ends
TINY = 1e-300  # in place of 0, of which there is no logarithm
LEAST = 1e-3  # that any class is given by a classifier: none is quite sure


@dataclass(frozen=True)
class Answers:
    """A answers: person `people[a]` says of image `images[a]` that it is of class `choices[a]`, all int64 (A,), numbered from
    0.

    number: of images; persons: of people; classes: of classes.
    """

    images: Integers
    people: Integers
    choices: Integers
    number: int
    persons: int
    classes: int

    def votes(self) -> Integers:
        """How many answers name each class, int64 (number, classes)."""
        cells = np.bincount(self.images * self.classes + self.choices, minlength=self.number * self.classes)
        return cells.reshape(self.number, self.classes)


@dataclass(frozen=True)
class Estimated:
    """probabilities: of each class for each image, float64 (N, C); tables: how often each person answers which class (last)
    where another is true, float64 (P, C, C), their rows summing to 1."""

    probabilities: Floats
    tables: Floats


def dawid_skene(
    answers: Answers,
    beforehand: NDArray[np.floating] | None = None,
    known: Integers | None = None,
    worth: float = WORTH,
) -> Estimated:
    """Classes and tables from `answers`.

    beforehand: what a classifier thinks of each image, (N, C), rows summing to 1; without it, the shares of the classes are
    estimated too. known: the true class of each image, int64 (N,), -1 where it is not known. worth: how much a table is drawn
    to what is expected of its person, in answers; 0 gives the estimate of 1979.
    """
    fixed = np.zeros(answers.number, bool) if known is None else known >= 0
    truth = np.eye(answers.classes)[known[fixed]] if known is not None else np.zeros((0, answers.classes))

    def settled(logs: Floats) -> Floats:
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        weights[fixed] = truth
        return weights

    votes = answers.votes().astype(np.float64)
    votes[votes.sum(axis=1) == 0] = 1.0
    probabilities = settled(_log(votes) + (0.0 if beforehand is None else _before(beforehand, votes, worth)))
    for _ in range(STEPS):
        tables, before = _tables(answers, probabilities, worth), probabilities
        logs = _before(beforehand, probabilities, worth)
        np.add.at(logs, answers.images, _log(tables[answers.people, :, answers.choices]))
        probabilities = settled(logs)
        if np.abs(probabilities - before).max(initial=0.0) < CLOSE:
            break
    return Estimated(probabilities, tables)


def _before(beforehand: NDArray[np.floating] | None, probabilities: Floats, worth: float) -> Floats:
    """Logarithms of how probable each class of each image is without its answers, float64 (N, C)."""
    if beforehand is not None:
        raised = np.maximum(beforehand.astype(np.float64), LEAST)
        return _log(raised / raised.sum(axis=1, keepdims=True))
    shares = probabilities.sum(axis=0) + (1.0 if worth else 0.0)
    return np.tile(_log(shares / shares.sum()), (len(probabilities), 1))


def _tables(answers: Answers, probabilities: Floats, worth: float) -> Floats:
    """Each person's table where images are of each class by `probabilities`."""
    persons, classes = answers.persons, answers.classes
    seen = np.zeros((persons, classes, classes))
    cells = answers.people * classes + answers.choices
    for true in range(classes):
        weights = probabilities[answers.images, true]
        seen[:, true] = np.bincount(cells, weights, persons * classes).reshape(persons, classes)
    hits, total = np.trace(seen, axis1=1, axis2=2), seen.sum(axis=(1, 2))
    everybody = (hits.sum() + WORTH * RIGHT) / (total.sum() + WORTH)
    often = ((hits + WORTH * everybody) / (total + WORTH))[:, None, None]
    expected = np.where(np.eye(classes, dtype=bool), often, (1 - often) / max(classes - 1, 1))
    weight = seen.sum(axis=2, keepdims=True) + worth
    return np.where(weight > 0, (seen + worth * expected) / np.maximum(weight, TINY), expected)


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, TINY)))
