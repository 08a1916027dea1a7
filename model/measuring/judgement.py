"""How good a head is on the images that nobody has labelled: macro F1, accuracy and F1 of each class, with intervals.

The head's probabilities for these images already say what their confusion matrix is expected to be. What is not known is how
far off the probabilities are, of which `miscalibration.py` has a prior. The labelled random slots, each predicted by a head
that never saw its label, make a posterior of it. A draw from that gives a confusion matrix, and so a draw of each figure. With
few slots the prior decides how wide an interval is, with many the slots do. Beside what the predictions say of images without
a label, as in prediction-powered inference (2301.09633), this uses what is known of heads: how far off their probabilities can
be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit, logit, softmax

from model.measuring.miscalibration import TINY, Classes, Floats, Posterior, sharpness
from model.threads import one_thread

# A head's temperature rests on the classes that have labels, and says little of one that has far fewer than others: of 20 food
# photos taken for one with 8 of 100 labels 19 were expected to be right and 9 were, of 41 groceries with 4 of 100 labels all.
HITS = 2.5  # standard deviation of the logit of the share of its guesses that are right, beyond what b and a_c make of it
RARE = 0.25  # labels by the mean of the classes learned, up to which a class is such a one; from twice as many on it is not
FEW = 9  # labels of the class up to which HITS holds; with more it falls as the square root of their number
DRAWS = 1000
NODES = np.linspace(-2.5, 2.5, 7)  # standard deviations of log b at which the pool is read
READ = 10_000  # images of the pool that are worth reading: more of them change little
TAILS = np.linspace(0, 5, 11)  # percent of the draws that may lie below an interval; 5 % of them lie outside
NARROW = 0.3  # width from which on an interval says so little that no figure goes with it

Interval = tuple[float, float]


@dataclass(frozen=True)
class Judgement:
    """Medians and shortest 95 % ranges on N images, these an image wider on each side.

    macro_f1: the mean F1 of the classes that the head has learned, as far as they occur among the images or the guesses;
    per_class: F1 of each of C classes, None where it was not learned or does not occur.
    """

    macro_f1: float
    interval: Interval
    accuracy: float
    accuracy_interval: Interval
    per_class: list[float | None]
    per_class_intervals: list[Interval | None]

    @property
    def tells(self) -> bool:
        """Whether macro F1 is known so well that it may be told as a figure."""
        return self.interval[1] - self.interval[0] < NARROW


def judge(
    pool: NDArray[np.floating],
    held: NDArray[np.floating],
    labels: Classes,
    weights: Floats,
    counts: Classes,
    *,
    size: int | None = None,
    seed: int = 0,
) -> Judgement:
    """What is known of a head on images without a label, from its probabilities for N >= 1 of them, `pool`, (N, C): all, or
    a random part.

    held: (n, C), probabilities for the n labelled images of a random sample by heads that have not seen their labels; labels:
    int64 (n,); weights: float64 (n,), how many answers the one about each of these counts as; counts: int64 (C,), labels of
    each class that the head learned, one at least; size: of all images without a label, N where it is None. Raises ValueError
    on an empty pool.
    """
    if not len(pool):
        raise ValueError("there is no image without a label to judge on: pool has no row")
    size = size or len(pool)
    random = np.random.default_rng(seed)
    of_part = np.bincount(pool.argmax(axis=1), minlength=pool.shape[1])
    guesses = np.rint(of_part * (size / len(pool))).astype(np.int64)
    with one_thread():  # threads would wait for each other in products so small
        posterior = Posterior.of(held, labels, weights, sharpness(int(counts.sum())))
        hits, missed = _draw_hits(pool, guesses, posterior, doubt_of_hits(counts), random)
    sizes = hits + missed + guesses
    f1 = np.divide(2 * hits, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    present = (counts > 0) & ((guesses > 0) | (hits + random.poisson(missed) > 0))
    macro = (f1 * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    # A perfect class stays within reach: what is drawn comes close to 1 and seldom gets there.
    image = 2 / np.maximum(np.median(sizes, axis=0), 2)
    each = [_middle(f1[t, c], image[c]) if t.mean() >= 0.5 else (None, None) for c, t in enumerate(present.T)]
    per_class, intervals = zip(*each, strict=True)
    accuracy = _middle(hits.sum(axis=1) / max(guesses.sum(), 1), 1 / size)
    return Judgement(*_middle(macro, 1 / size), *accuracy, list(per_class), list(intervals))


def doubt_of_hits(counts: Classes) -> Floats:
    """The standard deviation that HITS tells of, for each class of a head that learned so many labels of it, (C,)."""
    rare = np.clip(2 - counts / counts[counts > 0].mean() / RARE, 0, 1)
    return HITS * rare * np.sqrt(np.minimum(FEW / np.maximum(counts, 1), 1))


def _middle(drawn: Floats, image: float) -> tuple[float, Interval]:
    """Median and shortest range, whose ends are `image` further out."""
    low, high = np.percentile(drawn, TAILS), np.percentile(drawn, 95 + TAILS)
    shortest = (high - low).argmin()
    return float(np.median(drawn)), (max(float(low[shortest]) - image, 0.0), min(float(high[shortest]) + image, 1.0))


def _draw_hits(
    pool: NDArray[np.floating], guesses: Classes, posterior: Posterior, doubt: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Of the images that are guessed to be of each class, `guesses`, int64 (C,), how many are, and how many others are of it:
    float64 (DRAWS, C) each.

    Each image of `pool` is bent at a few values of b, where the shifts are as expected. How hit rates change between them, and
    with the shifts, is read off that, as if they were logits that are shifted. doubt: standard deviations of these, (C,), from
    `doubt_of_hits`. Rare classes are off together: many of them do not make up for each other.
    """
    classes = pool.shape[1]
    rates, slack, split = _read(pool, posterior)
    values = posterior.draw(DRAWS, random)
    place = np.clip((values[:, 0] - posterior.mean[0]) / posterior.spread, NODES[0], NODES[-1])
    left = np.clip(np.searchsorted(NODES, place, side="right") - 1, 0, len(NODES) - 2)
    share = ((place - NODES[left]) / (NODES[left + 1] - NODES[left]))[:, None]
    shifts = values[:, 2:] - posterior.mean[2:]
    odds = np.exp(shifts)
    against = np.maximum(odds @ split.T, TINY)
    off = slack * (shifts - np.log(against)) + doubt * random.standard_normal((DRAWS, 1))
    rate = expit((1 - share) * rates[left] + share * rates[left + 1] + off)
    lapse = expit(values[:, 1:2])
    whole = (1 - lapse) * rate + lapse / classes
    hits = random.binomial(guesses, whole).astype(float)
    misses = guesses - hits
    lapsed = misses * np.divide(lapse * (1 - 1 / classes), 1 - whole, out=np.zeros_like(whole), where=whole < 1)
    confused = ((misses - lapsed) / against) @ split * odds
    return hits, confused + (lapsed.sum(axis=1, keepdims=True) - lapsed) / max(classes - 1, 1)


def _read(pool: NDArray[np.floating], posterior: Posterior) -> tuple[Floats, Floats, Floats]:
    """What `_draw_hits` knows of the pool: the logit of the hit rate of each guess at each node, float64 (NODES, C); by how
    much it rises with the logit of every single image, (C,); and of which other class the images of a guess are that are no
    hit, (C, C), whose rows sum to 1."""
    n, classes = pool.shape
    guess, logs = pool.argmax(axis=1), np.log(np.maximum(pool, TINY))
    of_guess = csr_array((np.ones(n, pool.dtype), (guess, np.arange(n))), shape=(classes, n))
    sizes = np.maximum(np.bincount(guess, minlength=classes), 1)
    rates = np.zeros((len(NODES), classes))
    for number, node in enumerate(NODES):
        sharpness = np.exp(posterior.mean[0] + node * posterior.spread)
        soft = softmax(sharpness * logs + posterior.mean[2:].astype(pool.dtype), axis=1)
        hit = soft[np.arange(n), guess]
        rates[number] = np.clip(np.bincount(guess, hit, minlength=classes) / sizes, TINY, 1 - TINY)
        if node == 0:
            slack = np.bincount(guess, hit * (1 - hit), minlength=classes) / sizes / (rates[number] * (1 - rates[number]))
            split = np.asarray(of_guess @ soft, float) + TINY
    np.fill_diagonal(split, 0 if classes > 1 else 1)
    return logit(rates), slack, split / split.sum(axis=1, keepdims=True)
