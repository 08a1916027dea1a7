"""What the next labels are expected to bring where an image may be of several classes or of none: see `learning_curve.py`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.measuring.learning_curve import DRAWS, Floats, Gain, doubts, extrapolate
from model.measuring.metrics import ENOUGH
from model.measuring.set_metrics import Sets


def expected_gain_of_sets(
    sizes: Sequence[float],
    predicted: NDArray[np.int8],
    labels: Sets,
    known: int,
    ahead: int,
    weights: Floats | None = None,
    *,
    seed: int = 0,
) -> Gain | None:
    """The gain from `known` to `known + ahead` labels, or None where fewer than ENOUGH images tell it, or no class has both
    answers among them.

    sizes: how many labels each of H heads learned, of at least two different values; predicted: which classes each says that n
    images are of, int8 (H, n, C), -1 for all of an image where a head does not answer; labels: the true ones, bool (n, C);
    weights: of the images, float64 (n,), None where they are equal. Curve, interval and doubts are those of `expected_gain`.
    """
    occurring = labels.any(axis=0)
    if len(labels) < ENOUGH or not (occurring & ~labels.all(axis=0)).any() or ahead < 1:
        return None
    weights = np.ones(len(labels)) if weights is None else weights / weights.mean()
    points, at = np.unique(np.asarray(sizes, float), return_inverse=True)
    random = np.random.default_rng(seed)
    of_images, of_heads = random.exponential(size=(DRAWS, len(labels))), random.exponential(size=(DRAWS, len(at)))
    answers, truth = predicted[:, :, occurring], labels[:, occurring]
    measured = _macro_f1(answers, truth, at, weights[None], np.ones((1, len(at))), None)
    doubtful = doubts(len(points), np.arange(truth.shape[1]), truth.shape[1], random)
    drawn = _macro_f1(answers, truth, at, weights * of_images, of_heads, doubtful)
    gain = float(extrapolate(points, measured, known, ahead)[0])
    low, high = np.percentile(extrapolate(points, drawn, known, ahead), [2.5, 97.5])
    return Gain(ahead, gain, (min(float(low), gain), max(float(high), gain)))


def _macro_f1(
    answers: NDArray[np.int8],
    truth: Sets,
    at: NDArray[np.int64],
    images: Floats,
    heads: Floats,
    doubtful: tuple[Floats, Floats] | None,
) -> Floats:
    """Macro F1 at each of S points, float64 (draws, S), from the `answers` of H heads, (H, n, C), each at the point `at`, (H,).

    images: weights of the images, (draws, n); heads: of the heads, (draws, H); doubtful: hits and sizes to add, (draws, S, C)
    each.
    """
    draws, points, classes = len(images), int(at.max()) + 1, truth.shape[1]
    hits, sizes, answered = np.zeros((draws, points, classes)), np.zeros((draws, points, classes)), np.zeros((draws, points))
    for head, (given, point) in enumerate(zip(answers, at.tolist(), strict=True)):
        there = np.flatnonzero(given[:, 0] >= 0)
        said, true, weight = given[there] > 0, truth[there], images[:, there]
        by_head = heads[:, head, None]
        hits[:, point] += by_head * (weight @ (said & true))
        sizes[:, point] += by_head * (weight @ (said.astype(float) + true))
        answered[:, point] += by_head[:, 0] * weight.sum(axis=1)
    scale = (images.sum(axis=1, keepdims=True) / np.maximum(answered, 1e-30))[
        :, :, None
    ]  # as if one head had answered them all
    hits, sizes = 2 * scale * hits, scale * sizes
    if doubtful:
        hits, sizes = hits + 2 * doubtful[0], sizes + doubtful[1]
    f1 = np.divide(hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
    return f1.sum(axis=2) / np.maximum((sizes > 0).sum(axis=2), 1)
