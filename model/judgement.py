"""How good a head is on the images that nobody has labelled: macro F1, accuracy and F1 of each class, with intervals.

The head's probabilities for these images already say what their confusion matrix is expected to be. What is not known is how
far off the probabilities are. So they are bent, p_c^b exp(a_c) scaled to sum to 1 (temperature and vector scaling, Guo
1706.04599), and with the probability `lapse` an image is anything at all, as labels are sometimes wrong. b, a and the lapse
have a prior. The labelled random slots, each predicted by a head that never saw its label, make a posterior of it. A draw from
that gives a confusion matrix, and so a draw of each figure. With few slots the prior decides how wide an interval is, with many
the slots do. Beside what the predictions say of images without a label, as in prediction-powered inference (2301.09633), this
uses what is known of heads: how far off their probabilities can be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit, logit, softmax

from model.threads import one_thread

# How far off the probabilities of a head for the pool are. On three photo sets, 50 to 300 labels, with and without a tenth of
# all labels flipped, log b lay between -0.5 and 0.6, and shifts had a standard deviation of 0.1 to 0.6; of 0.2 to 0.4 on the
# two larger sets at 100 labels.
SHARPNESS = 0.3  # standard deviation of log b where the head's temperature rests on LABELS labels or more
LABELS = 100  # with fewer that rises as its error does, by their square root
SHIFT = 0.4  # of each a_c
# A head's temperature rests on the classes that have labels, and says little of one that has far fewer than others: of 20 food
# photos taken for one with 8 of 100 labels 19 were expected to be right and 9 were, of 41 groceries with 4 of 100 labels all.
HITS = 2.5  # standard deviation of the logit of the share of its guesses that are right, beyond what b and a_c make of it
RARE = 0.25  # labels by the mean of the classes learned, up to which a class is such a one; from twice as many on it is not
FEW = 9  # labels of the class up to which HITS holds; with more it falls as the square root of their number
LAPSE, LAPSE_SPREAD = -6.0, 1.7  # mean and standard deviation of the logit of the lapse: 0.2 %, with 97.5 % at most 7 %
DRAWS = 1000
NODES = np.linspace(-2.5, 2.5, 7)  # standard deviations of log b at which the pool is read
READ = 10_000  # images of the pool that are worth reading: more of them change little
TAILS = np.linspace(0, 5, 11)  # percent of the draws that may lie below an interval; 5 % of them lie outside
TINY = 1e-6  # probability below which none counts as smaller
NARROW = 0.3  # width from which on an interval says so little that no figure goes with it

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
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
        posterior = _Posterior.of(held, labels, weights, sharpness(int(counts.sum())))
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


def sharpness(labels: int) -> float:
    """The standard deviation of log b for a head that learned so many labels, one at least."""
    return SHARPNESS * max(1.0, (LABELS / labels) ** 0.5)


def doubt_of_hits(counts: Classes) -> Floats:
    """The standard deviation that HITS tells of, for each class of a head that learned so many labels of it, (C,)."""
    rare = np.clip(2 - counts / counts[counts > 0].mean() / RARE, 0, 1)
    return HITS * rare * np.sqrt(np.minimum(FEW / np.maximum(counts, 1), 1))


def _middle(drawn: Floats, image: float) -> tuple[float, Interval]:
    """Median and shortest range, whose ends are `image` further out."""
    low, high = np.percentile(drawn, TAILS), np.percentile(drawn, 95 + TAILS)
    shortest = (high - low).argmin()
    return float(np.median(drawn)), (max(float(low[shortest]) - image, 0.0), min(float(high[shortest]) + image, 1.0))


@dataclass(frozen=True)
class _Posterior:
    """A normal one of log b, the logit of the lapse and the shifts of C classes, 2 + C values in this order.

    mean: (2 + C,); root: (2 + C, 2 + C), which makes of independent values what is added to the mean.
    """

    mean: Floats
    root: Floats

    @classmethod
    def of(cls, held: NDArray[np.floating], labels: Classes, weights: Floats, spread: float) -> "_Posterior":
        """By Laplace's approximation, with Fisher's information in the place of the second derivative.

        spread: of log b, before; see `judge` for the rest.
        """
        n, classes = held.shape
        mean = np.array([0.0, LAPSE] + [0.0] * classes)
        precision = np.array([spread**-2, LAPSE_SPREAD**-2] + [SHIFT**-2] * classes)
        information = np.diag(precision)
        if n:
            prior, logs = mean, np.log(np.maximum(held, TINY, dtype=float))

            def loss(values: Floats) -> tuple[float, Floats]:
                bent, off = _Bent.of(values, logs), values - prior
                lost, slope = bent.loss(labels, weights)
                return lost + float(precision @ off**2) / 2, slope + precision * off

            mean = minimize(loss, prior, jac=True, method="L-BFGS-B").x
            information += _Bent.of(mean, logs).information(weights)
        return cls(mean, np.linalg.inv(np.linalg.cholesky(information)).T)

    @property
    def spread(self) -> float:
        """The standard deviation of log b."""
        return float(np.linalg.norm(self.root[0]))

    def draw(self, random: np.random.Generator) -> Floats:
        """Float64 (DRAWS, 2 + C)."""
        return self.mean + random.standard_normal((DRAWS, len(self.mean))) @ self.root.T


@dataclass(frozen=True)
class _Bent:
    """Probabilities of n images that are bent, and how their logarithms rise; float64 (n, C) each.

    soft: without the lapse; whole: with it; rise: of log soft with log b; doubt: of log whole with the lapse's logit; kept:
    what of a rise of log soft is left in log whole.
    """

    soft: Floats
    whole: Floats
    rise: Floats
    doubt: Floats
    kept: Floats

    @classmethod
    def of(cls, values: Floats, logs: Floats) -> "_Bent":
        """logs: of the probabilities as the head gives them, (n, C); values: see `_Posterior`."""
        sharpened, lapse, classes = np.exp(values[0]) * logs, expit(values[1]), logs.shape[1]
        soft = softmax(sharpened + values[2:], axis=1)
        whole = (1 - lapse) * soft + lapse / classes
        rise = sharpened - (soft * sharpened).sum(axis=1, keepdims=True)
        return cls(soft, whole, rise, lapse * (1 - lapse) * (1 / classes - soft) / whole, (1 - lapse) * soft / whole)

    def loss(self, labels: Classes, weights: Floats) -> tuple[float, Floats]:
        """Minus the weighted log-likelihood of `labels`, and its slope, (2 + C,)."""
        at = np.arange(len(labels)), labels
        kept = weights * self.kept[at]
        shifts = np.bincount(labels, kept, minlength=self.soft.shape[1]) - kept @ self.soft
        slope = np.concatenate([[kept @ self.rise[at], weights @ self.doubt[at]], shifts])
        return -float(weights @ np.log(self.whole[at])), -slope

    def information(self, weights: Floats) -> Floats:
        """Fisher's, (2 + C, 2 + C): the square of each answer's slope, as often as the answer is expected."""
        often = weights[:, None] * self.whole
        once, twice, doubted = often * self.kept, often * self.kept**2, often * self.doubt
        shifts = self.soft.T @ (twice.sum(axis=1, keepdims=True) * self.soft) - twice.T @ self.soft - self.soft.T @ twice
        shifts[np.diag_indices_from(shifts)] += twice.sum(axis=0)
        both = [_less_mean(twice * self.rise, self.soft), _less_mean(doubted * self.kept, self.soft)]
        first = [[(twice * self.rise**2).sum(), (once * self.rise * self.doubt).sum()], [0.0, (doubted * self.doubt).sum()]]
        first[1][0] = first[0][1]
        return np.block([[np.array(first), np.stack(both)], [np.stack(both).T, shifts]])


def _less_mean(slopes: Floats, soft: Floats) -> Floats:
    return slopes.sum(axis=0) - slopes.sum(axis=1) @ soft


def _draw_hits(
    pool: NDArray[np.floating], guesses: Classes, posterior: _Posterior, doubt: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """Of the images that are guessed to be of each class, `guesses`, int64 (C,), how many are, and how many others are of it:
    float64 (DRAWS, C) each.

    Each image of `pool` is bent at a few values of b, where the shifts are as expected. How hit rates change between them, and
    with the shifts, is read off that, as if they were logits that are shifted. doubt: standard deviations of these, (C,), from
    `doubt_of_hits`. Rare classes are off together: many of them do not make up for each other.
    """
    classes = pool.shape[1]
    rates, slack, split = _read(pool, posterior)
    values = posterior.draw(random)
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


def _read(pool: NDArray[np.floating], posterior: _Posterior) -> tuple[Floats, Floats, Floats]:
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
