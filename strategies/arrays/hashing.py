"""Randomness that needs no state: the same task and seed give the same number on every machine."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def uniform_hash(tasks: NDArray[np.int64], seed: str) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), float64 of shape (N,), from task ids of shape (N,) and a seed.

    splitmix64 (Steele 2014) of the id, offset by a hash of the seed; the top 53 bits.
    """
    offset = np.frombuffer(_digest(seed), np.uint64)[0]
    with np.errstate(over="ignore"):
        z = np.asarray(tasks).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + offset
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / np.float64(2**53)


def generator(seed: str) -> np.random.Generator:
    """numpy's generator from a seed in words, for samples and projections."""
    return np.random.default_rng(int.from_bytes(_digest(seed), "little"))


def _digest(seed: str) -> bytes:
    return hashlib.blake2b(seed.encode(), digest_size=8).digest()
