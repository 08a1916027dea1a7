"""Audit slots: the few accepted images that people are asked about all the same, as random slots and without a guess.

Accepted images stay in the population of the random sample, else F1 would be measured on the hard ones that are left. In it
they are a stratum of their own, of which a hash keeps AUDIT: those are asked about when their turn comes and stand for 1 /
AUDIT as many, the others never are (Horvitz and Thompson 1952). Their answers also tell whether the promise holds.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from strategies.arrays.hashing import uniform_hash

AUDIT = 0.25  # of accepted images; they are nearly all right, so a quarter of a sample tells as much of them as of the others
SEED = "audits"
UNLIKELY = 0.05  # the probability, if a promise holds, below which answers contradict it


def audited(tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `tasks` are asked about once they are accepted, bool (N,)."""
    return uniform_hash(tasks, SEED) < AUDIT


def contradicts(wrong: int, answered: int, error: float) -> bool:
    """Whether so many `wrong` ones of those `answered` are more than the promised share `error` explains: a one-sided binomial
    test at UNLIKELY."""
    return bool(wrong > 0 and bdtrc(wrong - 1, answered, error) < UNLIKELY)  # of so many wrong ones or more


def without_last_audits(tasks: NDArray[np.int64], audits: NDArray[np.int64]) -> int:
    """How many of the queue's first `tasks` it needs: none of `audits` is asked about behind the last other image, so that a
    pool that was accepted is done."""
    others = np.flatnonzero(~np.isin(tasks, audits))
    return int(others[-1]) + 1 if len(others) else 0
