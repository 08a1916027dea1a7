"""What a seed draws at random before any strategy runs: test images, start labels, task ids. The strategies share it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.simulate.dataset import Dataset
from backend.simulate.protocol import Protocol

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """Rows of `Dataset`. test: judged on, never copies; pool: may be labelled, in the order of their tasks; start: those of the
    pool that are labelled first; tasks: int64 (n,), every row's task id, another one for each seed, so that hashes differ."""

    test: Rows
    pool: Rows
    start: Rows
    tasks: Rows

    def rows(self, tasks: Rows) -> Rows:
        """The rows of `tasks`, int64 of shape (k,)."""
        return np.argsort(self.tasks)[tasks - 1]


def draw(images: Dataset, protocol: Protocol, seed: int) -> Draw:
    """The draw of `seed`. Each part has a random stream of its own: another start leaves the test as it is. Where no share is
    for the test, none is drawn."""
    test = np.flatnonzero(images.test) if images.test.any() else _stratified(images, protocol.test, _random(seed, 0))
    kept = np.ones(len(images.labels), bool)
    kept[test] = False
    for name, share in protocol.imbalance:
        kept[_dropped(images, np.flatnonzero(kept), images.classes.index(name), share, _random(seed, 1))] = False
    tasks = 1 + _random(seed, 2).permutation(len(images.labels))
    pool = np.flatnonzero(kept[images.originals])  # copies stay with their original
    pool = pool[np.argsort(tasks[pool])]
    return Draw(test, pool, _random(seed, 3).permutation(pool)[: protocol.start], tasks)


def _stratified(images: Dataset, share: float, random: np.random.Generator) -> Rows:
    """A share of each class's originals, at least one of each and never all; of all where images are of several classes. None
    of a share of 0."""
    if not share:
        return np.zeros(0, np.int64)
    if images.independent:
        rows = _originals(images, np.arange(len(images.labels)))
        return np.sort(random.permutation(rows)[: min(max(1, round(share * len(rows))), len(rows) - 1)])
    parts = []
    for label in np.unique(images.labels):
        rows = _originals(images, np.flatnonzero(images.labels == label))
        size = min(max(1, round(share * len(rows))), len(rows) - 1)
        parts.append(random.permutation(rows)[:size])
    return np.sort(np.concatenate(parts))


def _dropped(images: Dataset, pool: Rows, label: int, share: float, random: np.random.Generator) -> Rows:
    """The originals of a class that imbalance takes out of the pool; at least one stays."""
    rows = _originals(images, pool[images.labels[pool] == label])
    return random.permutation(rows)[max(1, round(share * len(rows))) :]


def _originals(images: Dataset, rows: Rows) -> Rows:
    return rows[images.originals[rows] == rows]


def _random(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])
