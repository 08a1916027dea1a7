"""Labels that are likely wrong, by confident learning (Northcutt, Jiang and Chuang, 1911.00068).

Probabilities come from heads that never saw the label in question (cross-fitting). A class's threshold is the mean probability
of that class among images that are labelled as it, so that a head which is too sure of one class, or of all, counts no labels
of another as errors. An image is counted for the class that is most probable among those above their thresholds: where that is
another than its label, the label is in doubt. How many labels of class i that are really j there are follows from these counts
(the confident joint); as many as that, with the largest margins p_j - p_i, are told (pruning by noise rate), the least
probable labels first (ranking by self-confidence).

cleanlab, by the same authors, computes the same; the tests hold this to it. It is no dependency of the plugin, since it brings
pandas, whose import alone takes longer than all of this.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Doubts:
    """D labels in doubt, the least likely to be right first.

    rows: which of the n labels, int64 (D,); suggested: the class that each image more likely is of, int64 (D,); confidences:
    its probability, float64 (D,); given: the probability of the class that it is labelled as, float64 (D,).
    """

    rows: Classes
    suggested: Classes
    confidences: Floats
    given: Floats


def find_doubts(labels: Classes, probabilities: NDArray[np.floating]) -> Doubts:
    """The doubtful ones of `labels`, int64 (n,), by cross-fitted `probabilities`, (n, C)."""
    p = probabilities.astype(np.float64)
    expected = np.round(_errors(labels, p)).astype(np.int64)
    doubtful = np.zeros(len(labels), bool)
    for given, real in np.argwhere(expected > 0):
        of_class = np.flatnonzero(labels == given)
        margins = p[of_class, real] - p[of_class, given]
        most = of_class[np.argsort(-margins, kind="stable")[: expected[given, real]]]
        doubtful[most] = True
    own = p[np.arange(len(labels)), labels]
    doubtful &= p.max(axis=1) > own
    rows = np.flatnonzero(doubtful)
    rows = rows[np.argsort(own[rows], kind="stable")]
    best = p[rows].argmax(axis=1)
    return Doubts(rows, best, p[rows, best], own[rows])


def _errors(labels: Classes, p: Floats) -> Floats:
    """How many labels of each class are really of each other one, as estimated: float64 (C, C), 0 on the diagonal."""
    classes = p.shape[1]
    sizes = np.bincount(labels, minlength=classes)
    sums = np.zeros(classes)
    np.add.at(sums, labels, p[np.arange(len(labels)), labels])
    thresholds = np.divide(sums, sizes, out=np.full(classes, np.inf), where=sizes > 0)
    above = np.where(p >= thresholds - 1e-6, p, -1.0)
    counted = above.max(axis=1) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[counted], above[counted].argmax(axis=1)), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), sizes > 0))  # else a class that nobody is sure of would be all wrong
    joint *= (sizes / np.maximum(joint.sum(axis=1), 1))[:, None]
    np.fill_diagonal(joint, 0)
    return joint


def find_set_doubts(
    labels: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> tuple[Classes, NDArray[np.bool_], Floats]:
    """The doubtful ones of n labels that are sets of C classes, bool (n, C), by cross-fitted probabilities of each class for
    itself, (n, C): a class that an image has, or has not, is doubted as one of two classes would be.

    Returns which labels, int64 (D,); what each would be without what is doubted of it, bool (D, C); and the probability of the
    least probable answer in each, float64 (D,), the lowest first.
    """
    p, doubted = probabilities.astype(np.float64), np.zeros(labels.shape, bool)
    for number, (has, yes) in enumerate(zip(labels.T, p.T, strict=True)):
        doubted[find_doubts(has.astype(np.int64), np.stack([1 - yes, yes], axis=1)).rows, number] = True
    least = np.where(doubted, np.where(labels, p, 1 - p), np.inf).min(axis=1, initial=np.inf)
    rows = np.flatnonzero(doubted.any(axis=1))
    rows = rows[np.argsort(least[rows], kind="stable")]
    return rows, labels[rows] ^ doubted[rows], least[rows]
