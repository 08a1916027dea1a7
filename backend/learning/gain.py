"""What the next labels are expected to bring: the points of a learning curve on the random sample, and where they lead."""

import numpy as np
from numpy.typing import NDArray

from model.heads.head import FOLDS, out_of_bag, out_of_bag_sets
from model.heads.learner import Learner
from model.heads.logistic import Labels
from model.measuring.learning_curve import NEXT, Gain, curve_sizes, expected_gain
from model.measuring.set_learning_curve import expected_gain_of_sets


def gain_of(
    learner: Learner, fair: NDArray[np.bool_], weights: NDArray[np.float64], predicted: Labels, left: int
) -> Gain | None:
    """What the next labels are expected to bring; None with too few random slots, one class, or nothing left to label.

    weights: of the `fair` images, float64 (fair.sum(),); predicted: their cross-fitted classes, int64 (fair.sum(),), or sets of
    classes, bool (fair.sum(), C): the upper end of the learning curve; left: images to label.
    """
    known = len(learner.labels)
    ahead = min(NEXT, known, left)  # no further ahead than doubling the labels
    if not ahead:
        return None
    sizes, labels = curve_sizes(known), learner.labels[fair]
    sizes_and_all = [*sizes, known - fair.sum() / FOLDS]
    if learner.independent:
        sets = np.concatenate([out_of_bag_sets(learner, fair, sizes), predicted[None].astype(np.int8)])
        return expected_gain_of_sets(sizes_and_all, sets, labels, known, ahead, weights, seed=learner.seed)
    answers = np.vstack([out_of_bag(learner, fair, sizes), predicted])
    return expected_gain(sizes_and_all, answers, labels, known, ahead, weights, seed=learner.seed)
