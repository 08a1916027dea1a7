"""Random slots: places in the queue that go to tasks in the order of a hash of their ids, whatever a strategy thinks of them.

The order is fixed for a project and slots are filled from its start, which makes the random sample (`random_sample.py`).
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.hashing import uniform_hash

SEED = "random slots"


def slot_order(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of `tasks`, int64 (N,), in the order of their hashes."""
    return np.argsort(uniform_hash(tasks, SEED), kind="stable")


def interleave(
    picks: NDArray[np.int64], slots: NDArray[np.int64], turns: NDArray[np.int64], size: int, share: float, labelled: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Merge picks and random slots, both task ids in their order, into a queue of at most `size`: (tasks, is_slot).

    turns: int64, of each slot the number of tasks drawn for the random sample by the time it is its turn; labelled: how many
    tasks are by the time that the queue begins. A slot is due as soon as `share` of all labels has come to its turn, however
    early each round replaces the queue, but no more than one comes at once to make up for the past.
    """
    queue: list[int] = []
    is_slot: list[bool] = []
    used: set[int] = set()
    waiting = deque(zip(slots.tolist(), turns.tolist(), strict=True))
    others = iter(picks.tolist())
    placed = 0
    while len(queue) < size:
        while waiting and waiting[0][0] in used:
            waiting.popleft()
        position = len(queue) + 1
        due = share > 0 and waiting and share * (labelled + position) + 1e-9 >= waiting[0][1]
        slot = bool(due and placed < 1 + np.floor(share * position + 1e-9))
        task = waiting[0][0] if slot else next((t for t in others if t not in used), None)
        if task is None and waiting:  # picks have run dry
            slot, task = True, waiting[0][0]
        if task is None:
            break
        used.add(task)
        queue.append(task)
        is_slot.append(slot)
        placed += slot
    return np.array(queue, np.int64), np.array(is_slot, bool)
