"""The annotators of a simulation, who err: each more or less often than the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
OTHERS = 3  # people beyond those who answer each image, who can be asked about one in doubt
RATES = (0.5, 1.0, 2.0)  # how often they err, compared with each other, again and again
UNIFORM, LIKE = (
    "uniform",
    "alike",
)  # a wrong answer is any other class; or it is the class that one is taken for, some more often
CONFUSIONS = (UNIFORM, LIKE)
SEEN_WRONG = (0.4, 1.6)  # how often the first and the last class are taken for another, over the mean


@dataclass(frozen=True)
class Crowd:
    """each: how many people answer each image, of `each` + OTHERS; noise: how many of all answers are wrong, on average;
    confusion: which wrong ones, UNIFORM or LIKE."""

    each: int
    noise: float
    confusion: str = UNIFORM

    @property
    def people(self) -> int:
        """How many there are."""
        return self.each + OTHERS

    def rates(self) -> Floats:
        """How often each errs, float64 (people,), `noise` on average."""
        rates = np.resize(RATES, self.people)
        return np.minimum(rates * self.noise / rates.mean(), 0.9)

    def tables(self, classes: int) -> Floats:
        """How often each answers which class (last) where another is true, float64 (people, C, C)."""
        tables = np.zeros((self.people, classes, classes))
        wrong = np.ones(classes) if self.confusion == UNIFORM else np.linspace(*SEEN_WRONG, classes)
        errs = np.minimum(self.rates()[:, None] * wrong, 0.95)
        for true in range(classes):
            if self.confusion == UNIFORM:
                tables[:, true] = (errs[:, true] / (classes - 1))[:, None]
            else:
                tables[:, true, (true + 1) % classes] = errs[:, true]
            tables[:, true, true] = 1 - errs[:, true]
        return tables

    def answers(self, labels: Integers, classes: int, seed: int) -> tuple[Integers, Integers]:
        """Whom each of n images is given to, in this order, and what they say: int64 (n, people) each. The n `labels` are
        true."""
        random = np.random.default_rng([seed, 5])
        order = random.permuted(np.tile(np.arange(self.people), (len(labels), 1)), axis=1)
        below = self.tables(classes).cumsum(axis=2)[order, labels[:, None]]
        said = (random.random(order.shape)[:, :, None] >= below).sum(axis=2)
        return order, np.minimum(said, classes - 1)
