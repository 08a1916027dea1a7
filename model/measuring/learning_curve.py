"""When to stop: what the next labels are expected to bring, read off a learning curve measured on the random sample.

Heads that learned random parts of the labels give the curve's lower points, the cross-fitted head its upper one. So "more
labels" means more like those so far, picks and random slots mixed as they are; in which order they came does not matter.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from model.measuring.metrics import ENOUGH

SHARES = (0.25, 0.5, 0.75)  # of the labels, that the curve's lower points are measured at
HEADS = 6  # at each of them
NEXT = 50  # labels ahead, at most: further out the shape of the curve, not the data, would decide
EXPONENT = 0.5  # c of the power law: see `expected_gain`
DRAWS = 500
DOUBT = 0.5  # prior weight, in images, of one that more labels put right, and of one that they put wrong

Random = np.random.Generator
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """Macro F1 that `labels` more labels are expected to add, and the central 95 % range of that expectation."""

    labels: int
    macro_f1: float
    interval: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


def curve_sizes(labels: int) -> list[int]:
    """How many of `labels` labels each of the heads learns that measure the curve."""
    return [round(share * labels) for share in SHARES for _ in range(HEADS)]


def expected_gain(
    sizes: Sequence[float],
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    known: int,
    ahead: int,
    weights: Floats | None = None,
    *,
    seed: int = 0,
) -> Gain | None:
    """The gain from `known` to `known + ahead` labels, or None where fewer than ENOUGH images or two classes tell it.

    sizes: how many labels each of H heads learned, of at least two different values; predicted: their classes of n images,
    int64 (H, n), -1 where a head does not answer; labels: the true ones, int64 (n,); weights: of the images, float64 (n,), None
    where they are equal.

    An inverse power law a - b size^-c is fitted to macro F1 by least squares, a size counting in proportion to itself
    (Figueroa et al. 2012, BMC Med Inform Decis Mak 12:8; on its limits Viering & Loog 2103.10948), but with c at EXPONENT:
    fitted to so few noisy points it halved the gain on photos. b may be negative: a curve that happens to fall is noise, and to
    forbid it would make every gain look positive. The interval is that of the fit repeated on draws of images and of heads
    (the Bayesian bootstrap, Rubin 1981). It is about the gain on average over the labels that may come; one batch of them
    scatters more. The prior of DOUBT is there as otherwise 30 images without an error would prove that no gain is left.
    """
    if len(labels) < ENOUGH or len(np.unique(labels)) < 2 or ahead < 1:
        return None
    weights = np.ones(len(labels)) if weights is None else weights / weights.mean()
    occurring = np.unique(np.append(predicted[predicted >= 0], labels))  # of others the doubts alone would make an F1
    predicted = np.where(predicted >= 0, np.searchsorted(occurring, predicted), -1)
    labels = np.searchsorted(occurring, labels)
    points, at = np.unique(np.asarray(sizes, float), return_inverse=True)
    answers = [predicted[at == i] for i in range(len(points))]
    measured = _macro_f1(answers, labels, weights, len(occurring), None)
    drawn = _macro_f1(answers, labels, weights, len(occurring), np.random.default_rng(seed))
    gain = float(extrapolate(points, measured, known, ahead)[0])
    low, high = np.percentile(extrapolate(points, drawn, known, ahead), [2.5, 97.5])
    return Gain(ahead, gain, (min(float(low), gain), max(float(high), gain)))


def _macro_f1(answers: list[Integers], labels: Integers, weights: Floats, classes: int, random: Random | None) -> Floats:
    """Macro F1 at each of S points, from their heads' answers, int64 (heads, n) each.

    Float64 (DRAWS, S) with images and heads of random weight; (1, S) without `random`, where only `weights` of the images
    count.
    """
    draws, n = DRAWS if random else 1, len(labels)
    images = weights * (random.exponential(size=(draws, n)) if random else np.ones((1, n)))
    hits, sizes = np.zeros((2, 1, len(answers), classes))
    if random:
        hits, sizes = doubts(len(answers), np.unique(labels), classes, random)
    for i, answer in enumerate(answers):
        heads = random.exponential(size=(draws, len(answer))) if random else np.ones((1, len(answer)))
        head, image = np.nonzero(answer >= 0)
        guess, truth = answer[head, image], labels[image]
        right = guess == truth
        true = _sums(images, heads, image, head, truth, classes)
        scale = images.sum(axis=1, keepdims=True) / true.sum(axis=1, keepdims=True)  # as if one head had answered them all
        hits[:, i] += scale * _sums(images, heads, image[right], head[right], truth[right], classes)
        sizes[:, i] += scale * (true + _sums(images, heads, image, head, guess, classes))
    f1 = np.divide(2 * hits, sizes, out=np.zeros_like(hits), where=sizes > 0)
    return f1.sum(axis=2) / (sizes > 0).sum(axis=2)


def _sums(images: Floats, heads: Floats, image: Integers, head: Integers, kind: Integers, classes: int) -> Floats:
    """Weight of answers by class, (draws, classes): answer k, of class kind[k], weighs as image[k] times head[k]."""
    (_, n), (draws, count) = images.shape, heads.shape
    answers = csr_array((np.ones(len(image)), (image, head * classes + kind)), shape=(n, count * classes))
    return np.einsum("dhc,dh->dc", (images @ answers).reshape(draws, count, classes), heads)


def doubts(points: int, true: Integers, classes: int, random: Random) -> tuple[Floats, Floats]:
    """Hits and sizes, (DRAWS, points, classes), of two images of the `true` classes: one right from some point on, one wrong
    from there."""
    hits, sizes = np.zeros((2, DRAWS, points, classes))
    each, point = np.arange(DRAWS)[:, None], np.arange(points)
    for learned in (True, False):
        weight = random.gamma(DOUBT, size=(DRAWS, 1))
        truth = random.choice(true, size=(DRAWS, 1))
        mistake = (truth + random.integers(1, classes, size=(DRAWS, 1))) % classes
        right = (point >= random.integers(1, points, size=(DRAWS, 1))) == learned
        guess = np.where(right, truth, mistake)
        hits[each, point, truth] += weight * right
        sizes[each, point, truth] += weight
        sizes[each, point, guess] += weight
    return hits, sizes


def extrapolate(points: Floats, f1: Floats, known: int, ahead: int) -> Floats:
    """The gain from `known` to `known + ahead` labels for each row of `f1`, (draws, S), measured at `points`, (S,)."""
    x = points**-EXPONENT
    weights = points / points.sum()
    mean_x, mean_f1 = weights @ x, f1 @ weights
    b = -(f1 @ (weights * (x - mean_x))) / (weights @ (x - mean_x) ** 2)
    above_1 = mean_f1 + b * mean_x > 1  # a, that is F1 with endless labels: then the best fit with a = 1
    b = np.where(above_1, (1 - f1) @ (weights * x) / (weights @ x**2), b)
    return b * (known**-EXPONENT - (known + ahead) ** -EXPONENT)
