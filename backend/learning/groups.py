"""Groups of look-alikes that a person may label together: a grid of images, one class for all that belong, odd ones taken out.

**One group for each pick**, in the strategy's order. It holds the pick and the nearest images of its surroundings to which the
head gives the same class, as long as few odd ones are to be expected among them: the head is calibrated, so an image of
confidence p is odd with probability 1 - p. To that comes 1 / (n + C), with n labels of C classes, by the rule of succession:
with few labels a head is sure of what it has hardly seen. So a group's label settles nearly all of its images, and a person who
overlooks a few of the odd ones makes few wrong labels. Groups have no image in common.

**Random slots stay apart.** The tasks that the random sample can ever draw, the first EXPLORE x N of N in the order of their
hashes (`random_sample.py`), are in no group, also those whose turn is far away. A label from a group is swayed by the head's
guess, and wrong where an odd one was overlooked; drawn later, it would be among those that F1 is measured on.

**Before the head can tell classes apart** there are no groups: look-alikes without a class would teach less than one by one
(docs/evidence.md, "In groups").

No Label Studio, no disk.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from backend.learning.rounds import Pool, Ranking
from model.heads.head import Head
from model.threads import one_thread
from strategies.arrays.chunks import chunks

MOST_GROUPS = 40
LEAST, MOST = 12, 40  # images in a group: fewer are no quicker than one by one, more do not fit on a screen
SURROUNDINGS = 100  # images nearest to a pick among which its group is found
SURE = 0.6  # confidence that an image has at least, other than the pick
ODD = 0.05  # share of odd ones that is expected at most

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LookAlikes:
    """A group. tasks: int64 (m,), the pick first; label: the class for all of them; confidences: float32 (m,), the head's that
    each is of that class; odd: how many are expected not to be.
    """

    tasks: NDArray[np.int64]
    label: int
    confidences: Floats
    odd: float


def find_groups(
    head: Head | None, pool: Pool, ranking: Ranking, tasks: int, explore: float, apart: NDArray[np.int64]
) -> list[LookAlikes]:
    """The groups for the picks of `ranking`, in its order, at most MOST_GROUPS; none where the head cannot tell classes apart.

    tasks: how many there are in the project; explore: share of them that is for random slots; apart: tasks that are to be
    labelled one by one, such as those sent ahead. O(N D MOST_GROUPS), and 4 N MOST_GROUPS bytes.
    """
    if head is None or not head.separates:
        return []
    free = (pool.turns > ceil(explore * tasks - 1e-9)) & ~np.isin(pool.tasks, apart)
    rows = _rows_of(pool.tasks, ranking.tasks[~ranking.slots])
    picks = rows[free[rows]][:MOST_GROUPS]
    with one_thread():  # threads wait for each other in products so thin
        alike, classes, confidences = _look(head, pool, picks)
    chance = 1 - confidences + 1 / (head.counts.sum() + len(head.counts))
    groups: list[LookAlikes] = []
    for pick, nearness in zip(picks.tolist(), alike, strict=True):
        if not free[pick]:  # in the group of a pick before
            continue
        usable = free & (classes == classes[pick]) & (confidences >= SURE)
        chosen = _few_odd(_nearest(nearness, usable, pick, SURROUNDINGS), chance)
        if len(chosen) >= LEAST:
            odd = float(chance[chosen].sum())
            groups.append(LookAlikes(pool.tasks[chosen], int(classes[pick]), confidences[chosen], odd))
            free[chosen] = False
    return groups


def _look(head: Head, pool: Pool, picks: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64], Floats]:
    """How alike each pick is to every image of the pool, (P, N), the class of each image and its confidence, (N,) both: in one
    pass over the embeddings."""
    n, dimensions = pool.embeddings.shape
    centres = pool.embeddings[picks].astype(np.float32)
    alike = np.empty((len(picks), n), np.float32)
    classes, confidences = np.empty(n, np.int64), np.empty(n, np.float32)
    for rows in chunks(n, dimensions):
        vectors = pool.embeddings[rows].astype(np.float32)
        alike[:, rows] = centres @ vectors.T
        probabilities = head.probabilities(vectors)
        classes[rows], confidences[rows] = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return alike, classes, confidences


def _nearest(nearness: Floats, usable: Bools, pick: int, size: int) -> NDArray[np.int64]:
    """The pick, and the nearest of the `usable` rows behind it, int64 of at most `size`."""
    others = np.flatnonzero(usable)
    others = others[others != pick]
    if len(others) >= size:
        others = others[np.argpartition(-nearness[others], size - 1)[:size]]
    return np.append(pick, others[np.argsort(-nearness[others], kind="stable")])[:size]


def _few_odd(nearest: NDArray[np.int64], chance: Floats) -> NDArray[np.int64]:
    """The first MOST of the rows `nearest` that leave the expected share of odd ones below ODD. chance: of each image of the
    pool that it is odd, (N,)."""
    chosen: list[int] = []
    odd = 0.0
    for row in nearest.tolist():
        if not chosen or odd + chance[row] <= ODD * max(len(chosen) + 1, LEAST):
            chosen.append(row)
            odd += float(chance[row])
        if len(chosen) == MOST:
            break
    return np.array(chosen, np.int64)


def _rows_of(among: NDArray[np.int64], tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of those `tasks` that are in `among`, in their order."""
    where = {task: row for row, task in enumerate(among.tolist())}
    return np.array([where[task] for task in tasks.tolist() if task in where], np.int64)
