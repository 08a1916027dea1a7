"""How much better one head is than another on the images that nobody has labelled: the difference of their macro F1.

Most images both heads take for the same, and there neither is better whatever the images are. Of the others the probabilities
of both say something. They are blended, p ~ p_live^(1 - s) p_new^s, and the blend may be as far off as what a single head says
(`miscalibration.py`). Each s on a grid is as likely as any other beforehand; how likely it is then follows from what both
say of labelled images if they never saw their labels: a head that the labels contradict loses trust. A draw of s, and of how
far off that blend is, gives each image on which they disagree a class, and so a draw of the difference.

The labelled images need not be a random sample. What is learned from them is how likely a class is where the heads say this
and that, and a strategy picks by what heads say, not by the answer.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from model.measuring.miscalibration import TINY, Bent, Classes, Floats, Posterior, sharpness
from model.threads import one_thread

SHARES = np.linspace(-0.5, 1.5, 13)  # s; beyond 0 and 1 what one head says for a class speaks against it
# Beyond what s, b and a make of it, one head is more often right where the one takes images for this and the other for that. On
# two photo sets, seven embeddings, 50 to 300 labels, intervals held without such an error in 87 to 91 % of 100 comparisons
# each, with it in 92 to 97 %; but for 300 labels of groceries, where heads hardly differ.
PAIRS = 0.7  # standard deviation of the log odds between the two guesses, for all images with the same two
DRAWS = 1000
CELLS = 2**22  # numbers in an array, at most, to bound memory with many classes

Interval = tuple[float, float]
Pair = tuple[NDArray[np.floating], NDArray[np.floating]]


@dataclass(frozen=True)
class PairedJudgement:
    """live, new: the expected macro F1 of both on N images, over the classes learned, as far as they occur among these or the
    guesses; probability: that the new one's is higher, where a tie counts half; interval: central 95 % range of the difference,
    new minus live."""

    live: float
    new: float
    probability: float
    interval: Interval


def judge_pair(pool: Pair, held: Pair, labels: Classes, counts: Classes, *, seed: int = 0) -> PairedJudgement:
    """How the second of two heads compares with the first on images without a label, from the probabilities of each for
    N >= 1 of them, `pool`, (N, C) each.

    held: (n, C) each, probabilities for n labelled images by heads that have not seen their labels; labels: int64 (n,); counts:
    int64 (C,), labels of each class that both heads learned, one at least. Raises ValueError on an empty pool.
    """
    if not len(pool[0]):
        raise ValueError("there is no image without a label to judge on: pool has no row")
    random, learned = np.random.default_rng(seed), counts > 0
    spread, ones = sharpness(int(counts.sum())), np.ones(len(labels))
    with one_thread():  # threads would wait for each other in products so small
        posteriors = [Posterior.of(_blend(held, share), labels, ones, spread) for share in SHARES]
        trust = softmax([posterior.evidence for posterior in posteriors])
        drawn = [
            _draw_f1(pool, _blend(pool, share), posterior, learned, number, random)
            for share, posterior, number in zip(SHARES, posteriors, random.multinomial(DRAWS, trust), strict=True)
            if number
        ]
    live, new = np.concatenate(drawn, axis=1)
    difference = np.round(new - live, 12)  # equal but for rounding is a tie
    low, high = np.percentile(difference, [2.5, 97.5])
    better = float((difference > 0).mean() + (difference == 0).mean() / 2)
    return PairedJudgement(float(live.mean()), float(new.mean()), better, (float(low), float(high)))


def _blend(pair: Pair, share: float) -> Floats:
    """float64 (n, C)."""
    live, new = (np.log(np.maximum(probabilities, TINY, dtype=float)) for probabilities in pair)
    return softmax((1 - share) * live + share * new, axis=1)


def _draw_f1(
    pool: Pair, blend: Floats, posterior: Posterior, learned: NDArray[np.bool_], number: int, random: np.random.Generator
) -> Floats:
    """Draws of the macro F1 of both, float64 (2, number).

    Images that both take for the same are of each class as often as expected: there they have the same hits. blend: float64
    (N, C); learned: bool (C,).
    """
    classes = blend.shape[1]
    guesses = np.stack([probabilities.argmax(axis=1) for probabilities in pool])
    guessed = np.stack([np.bincount(guess, minlength=classes) for guess in guesses])
    logs = np.log(np.maximum(blend, TINY))
    apart = guesses[0] != guesses[1]
    same, agreed = Bent.of(posterior.mean, logs[~apart]).whole, guesses[0, ~apart]
    hits_same = np.bincount(agreed, same[np.arange(len(agreed)), agreed], minlength=classes)
    values = posterior.draw(number, random)
    step = max(1, CELLS // max(apart.sum() * classes, 1))
    out = []
    for start in range(0, number, step):
        truths = _draw_classes(logs[apart], guesses[:, apart], values[start : start + step], random)
        sizes = same.sum(axis=0) + _counted(truths, np.ones_like(truths, bool), classes)
        hits = np.stack([hits_same + _counted(truths, truths == guess, classes) for guess in guesses[:, apart]])
        f1 = 2 * hits / np.maximum(guessed[:, None] + sizes, 1)
        present = learned & (guessed.sum(axis=0) + sizes >= 0.5)
        out.append((f1 * present).sum(axis=2) / np.maximum(present.sum(axis=1), 1))
    return np.concatenate(out, axis=1)


def _draw_classes(logs: Floats, guesses: Classes, values: Floats, random: np.random.Generator) -> Classes:
    """A class of each of n images for each of K draws, int64 (K, n).

    logs: of what is bent, (n, C); guesses: of both heads, (2, n); values: (K, 2 + C).
    """
    (n, classes), each = logs.shape, np.arange(logs.shape[0])
    pairs, pair = np.unique(guesses, axis=1, return_inverse=True)
    odds = PAIRS * random.standard_normal((len(values), pairs.shape[1]))[:, pair.ravel()]
    bent = np.exp(values[:, :1, None]) * logs + values[:, None, 2:]
    bent[:, each, guesses[0]] -= odds / 2
    bent[:, each, guesses[1]] += odds / 2
    lapse = expit(values[:, 1:2, None])
    reached = ((1 - lapse) * softmax(bent, axis=2) + lapse / classes).cumsum(axis=2)
    return (random.random((len(values), n, 1)) > reached).sum(axis=2).clip(max=classes - 1)


def _counted(truths: Classes, which: NDArray[np.bool_], classes: int) -> Classes:
    """How many of the images `which`, bool (K, n), are of each class in each draw, int64 (K, C). truths: int64 (K, n)."""
    draws = len(truths)
    cells = (np.arange(draws)[:, None] * classes + truths)[which]
    return np.bincount(cells, minlength=draws * classes).reshape(draws, classes)
