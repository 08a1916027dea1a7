"""Images that people sent to the head of a queue: they stand before every pick and every random slot.

The random sample stays what it is, since whether a task is drawn for it depends on its hash alone and not on who labels it
when (`random_sample.py`). But an image sent ahead whose turn in the sample has come counts as a random slot: it carries no
pre-annotation, so that the label it is measured by is nobody's guess.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.learning.places import queue_places
from backend.learning.rounds import Labelled, Pool, Ranking, Rules, rank_anyway, separates
from model.heads.head import Head


@dataclass(frozen=True)
class First:
    """What is to stand at the head of a queue. sent: tasks that people sent there, int64 (n,); checks: tasks that a frozen
    head is
    checked by, int64 (m,), which come behind them and carry no guess whatever the random sample says."""

    sent: NDArray[np.int64]
    checks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def tasks(self) -> NDArray[np.int64]:
        """All of them, in their order."""
        return np.append(self.sent, self.checks[~np.isin(self.checks, self.sent)])


def at_the_head(head: Head | None, pool: Pool, wanted: First, labels: int, share: float) -> Ranking:
    """Those `wanted` that are in the pool and have finite embeddings, in their order and all at place 0.

    labels: how many there are by now; share: of them that are random slots.
    """
    where = {task: row for row, task in enumerate(pool.tasks.tolist())} if len(wanted.tasks) else {}
    rows = np.array([where[task] for task in wanted.tasks.tolist() if task in where], np.int64)
    rows = rows[np.isfinite(pool.embeddings[rows].sum(axis=1, dtype=np.float32))]
    sent, n = pool.only(rows), len(rows)
    slots = (share > 0) & (share * (labels + np.arange(1, n + 1)) + 1e-9 >= sent.turns) | np.isin(sent.tasks, wanted.checks)
    told = head.probabilities(sent.embeddings) if head and separates(head) else None
    return Ranking(sent.tasks, np.zeros(n), slots, told)


def rank_behind(
    head: Head | None, pool: Pool, labelled: Labelled, rules: Rules, version: str, wanted: First
) -> tuple[Ranking, str]:
    """What `rank_anyway` gives, behind those `wanted` that are in the pool, which the strategy takes for labelled."""
    first = at_the_head(head, pool, wanted, len(labelled.tasks), rules.explore)
    if not len(first.tasks):
        return rank_anyway(head, pool, labelled, rules, version)
    is_first = np.isin(pool.tasks, first.tasks)
    waiting = pool.embeddings[is_first].astype(np.float32)
    rest, trouble = rank_anyway(head, pool.only(~is_first), labelled, rules, version, waiting)
    return joined(first, rest), trouble


def joined(first: Ranking, rest: Ranking) -> Ranking:
    """One queue of both, at places of its own."""
    tasks, slots = np.append(first.tasks, rest.tasks), np.append(first.slots, rest.slots)
    told = None
    if first.probabilities is not None and rest.probabilities is not None:
        told = np.concatenate([first.probabilities, rest.probabilities])
    return Ranking(tasks, queue_places(len(tasks)), slots, told)
