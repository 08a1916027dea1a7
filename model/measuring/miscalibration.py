"""How far off the probabilities of a head are: a prior of it, and the posterior that labelled images make of that.

Probabilities are bent, p_c^b exp(a_c) scaled to sum to 1 (temperature and vector scaling, Guo 1706.04599), and with the
probability `lapse` an image is anything at all, as labels are sometimes wrong. b, a and the lapse have a prior.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

# How far off the probabilities of a head for the pool are. On three photo sets, 50 to 300 labels, with and without a tenth of
# all labels flipped, log b lay between -0.5 and 0.6, and shifts had a standard deviation of 0.1 to 0.6; of 0.2 to 0.4 on the
# two larger sets at 100 labels.
SHARPNESS = 0.3  # standard deviation of log b where the head's temperature rests on LABELS labels or more
LABELS = 100  # with fewer that rises as its error does, by their square root
SHIFT = 0.4  # of each a_c
LAPSE, LAPSE_SPREAD = -6.0, 1.7  # mean and standard deviation of the logit of the lapse: 0.2 %, with 97.5 % at most 7 %
TINY = 1e-6  # probability below which none counts as smaller

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def sharpness(labels: int) -> float:
    """The standard deviation of log b for a head that learned so many labels, one at least."""
    return SHARPNESS * max(1.0, (LABELS / labels) ** 0.5)


@dataclass(frozen=True)
class Posterior:
    """A normal one of log b, the logit of the lapse and the shifts of C classes, 2 + C values in this order.

    mean: (2 + C,); root: (2 + C, 2 + C), which makes of independent values what is added to the mean; evidence: the logarithm
    of how likely the labels were before, up to what is the same for all probabilities of as many classes.
    """

    mean: Floats
    root: Floats
    evidence: float

    @classmethod
    def of(cls, held: NDArray[np.floating], labels: Classes, weights: Floats, spread: float) -> "Posterior":
        """By Laplace's approximation, with Fisher's information in the place of the second derivative.

        held: probabilities for n labelled images by heads that have not seen their labels, (n, C); labels: int64 (n,); weights:
        float64 (n,), how many answers the one about each of these counts as; spread: of log b, before.
        """
        n, classes = held.shape
        mean = np.array([0.0, LAPSE] + [0.0] * classes)
        precision = np.array([spread**-2, LAPSE_SPREAD**-2] + [SHIFT**-2] * classes)
        information, lost = np.diag(precision), 0.0
        if n:
            prior, logs = mean, np.log(np.maximum(held, TINY, dtype=float))

            def loss(values: Floats) -> tuple[float, Floats]:
                bent, off = Bent.of(values, logs), values - prior
                value, slope = bent.loss(labels, weights)
                return value + float(precision @ off**2) / 2, slope + precision * off

            found = minimize(loss, prior, jac=True, method="L-BFGS-B")
            mean, lost = found.x, float(found.fun)
            information += Bent.of(mean, logs).information(weights)
        return cls(mean, np.linalg.inv(np.linalg.cholesky(information)).T, -lost - np.linalg.slogdet(information)[1] / 2)

    @property
    def spread(self) -> float:
        """The standard deviation of log b."""
        return float(np.linalg.norm(self.root[0]))

    def draw(self, number: int, random: np.random.Generator) -> Floats:
        """Float64 (number, 2 + C)."""
        return self.mean + random.standard_normal((number, len(self.mean))) @ self.root.T


@dataclass(frozen=True)
class Bent:
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
    def of(cls, values: Floats, logs: Floats) -> "Bent":
        """logs: of the probabilities as the head gives them, (n, C); values: see `Posterior`."""
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
