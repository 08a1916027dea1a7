"""A made-up project that is labelled round after round, some of its tasks hard ones that the strategy prefers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.learning.audit import audited
from backend.learning.random_sample import RandomSample, random_sample
from backend.learning.slots import interleave

QUEUE = 60  # tasks


@dataclass(frozen=True)
class Import:
    """`tasks` new tasks, a share `hard` of them hard, that arrive once there are `labels` labels."""

    labels: int
    tasks: int
    hard: float = 0.3


@dataclass(frozen=True)
class Walk:
    """A project after its last round: hard, labelled: bool (N,)."""

    hard: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    sample: RandomSample

    @property
    def hard_share(self) -> float:
        """Of the pool, as the random sample has it."""
        return float(self.sample.weights @ self.hard / self.sample.weights.sum())


def walk(
    seed: int,
    imports: list[Import],
    labels: int,
    share: float = 0.1,
    a_round: int = 10,
    kept: float = 0.0,
    left: float = 0.0,
    accept: int = 0,
) -> Walk:
    """Label until there are `labels`, `a_round` at a time from a queue of picks, hard ones first, and random slots.

    kept: the chance that an annotator opens a task of the queue and keeps it for some rounds; left: that he skips it for good;
    accept: labels from which on most easy tasks that are open, and a few hard ones, are accepted from the model.
    """
    random = np.random.default_rng(seed)
    first, waiting = 1 + 10_000_000 * seed, list(imports)
    hard, labelled, skipped, accepted = np.zeros((4, 0), bool)
    taken: set[int] = set()
    sample: RandomSample | None = None
    while True:
        while waiting and labelled.sum() >= waiting[0].labels:
            new = waiting.pop(0)
            hard = np.append(hard, random.random(new.tasks) < new.hard)
            labelled, skipped = (np.append(done, np.zeros(new.tasks, bool)) for done in (labelled, skipped))
            accepted = np.zeros(len(hard), bool)
        tasks = first + np.arange(len(hard))
        if accept and labelled.sum() >= accept and not accepted.any():
            accepted = ~labelled & ~skipped & (random.random(len(hard)) < np.where(hard, 0.2, 0.9))
        sample = random_sample(tasks, labelled, skipped, share, sample.strata if sample else (), accepted)
        if labelled.sum() >= labels:
            return Walk(hard, labelled, sample)
        slots = np.flatnonzero(~labelled & ~skipped & (~accepted | audited(tasks)))
        pool = np.flatnonzero(~labelled & ~skipped & ~accepted)
        picks = pool[np.argsort(random.random(len(pool)) - 0.9 * hard[pool])][:QUEUE]
        slots = slots[np.argsort(sample.turns[slots])][:QUEUE]
        queue, _ = interleave(picks, slots, sample.turns[slots], QUEUE, share, int(labelled.sum()))
        taken = {task for task in taken if random.random() < 0.8}
        done = 0
        for task in queue.tolist():
            if done == a_round:
                break
            if task not in taken and random.random() < kept:
                taken.add(task)
            elif task not in taken:
                skipped[task] = random.random() < left
                labelled[task] = not skipped[task]
                done += 1
