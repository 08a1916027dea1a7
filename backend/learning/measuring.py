"""What a round measures of its head: how good it is on the images without a label, and what the next labels are to bring."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.gain import gain_of
from model.heads.head import Head, cross_fit
from model.heads.learner import Learner
from model.heads.logistic import Labels
from model.measuring.judgement import READ, judge
from model.measuring.metrics import ENOUGH, Metrics, calibration_error, confusion_cells, effective_size, measure
from model.measuring.set_metrics import measure_sets, predicted_sets

Floats = NDArray[np.float64]


def measured(
    learner: Learner, head: Head, pool: NDArray[np.floating], fair: NDArray[np.bool_], weights: Floats
) -> tuple[Metrics, Labels, dict[str, Any] | None]:
    """Metrics of `head`, its cross-fitted guesses for the random sample, int64 (fair.sum(),) or sets of classes, bool
    (fair.sum(), C), and the gain that the next labels are expected to bring.

    pool: embeddings of the images without a label, (N, D), of any float type; fair: of the learner's labelled images the random
    sample, bool (n,); weights: float64 (fair.sum(),), how many images of the project each of those stands for.
    """
    held, truth = cross_fit(learner, fair, head.temperature), learner.labels[fair]
    if learner.independent:
        metrics, guesses = measure_sets(held, truth, weights, seed=learner.seed), predicted_sets(held)
    else:
        metrics, guesses = _on_unlabelled(learner, head, pool, fair, held, weights), held.argmax(axis=1)
    gain = gain_of(learner, fair, weights, guesses, len(pool)) if metrics.effective >= ENOUGH else None
    return metrics, guesses, gain.as_dict() if gain else None


def _on_unlabelled(
    learner: Learner,
    head: Head,
    pool: NDArray[np.floating],
    fair: NDArray[np.bool_],
    held: NDArray[np.float32],
    weights: Floats,
) -> Metrics:
    """Macro F1, accuracy and F1 of each class on the images without a label; on the sample where none is left, or it is empty.

    held: float32 (fair.sum(), C), cross-fitted. What was picked is gone from the pool, but the sample still stands for it too:
    so an answer of the sample counts as much as a part of the images is left.
    """
    truth, size = learner.labels[fair], len(pool)
    if size > READ:
        pool = pool[np.sort(np.random.default_rng(learner.seed).choice(size, READ, replace=False))]
    pool = np.asarray(pool)  # it may lie in a store
    pool = pool[np.isfinite(pool.sum(axis=1, dtype=np.float32))]
    if not len(truth) or not len(pool):
        return measure(held, truth, weights, seed=learner.seed)
    effective, predicted = effective_size(weights), held.argmax(axis=1)
    left = size / (size + len(fair) - fair.sum())
    counted = weights / weights.sum() * effective * left
    found = judge(head.probabilities(pool), held, truth, counted, head.counts, size=size, seed=learner.seed)
    return Metrics(
        n=len(truth),
        effective=effective,
        macro_f1=found.macro_f1,
        interval=found.interval,
        per_class=found.per_class,
        confusion=confusion_cells(predicted, truth, weights),
        accuracy=found.accuracy,
        ece=calibration_error(held, truth, weights),
        enough=found.tells,
        accuracy_interval=found.accuracy_interval,
        per_class_intervals=found.per_class_intervals,
        unlabelled=True,
    )
