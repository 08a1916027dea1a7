"""Random slots: the share of the queue drawn by hash of the task id alone, the one unbiased sample of the pool.

The order of the hashes is fixed for a project, and slots are filled from its start. So the labelled tasks at the start of
that order, whoever chose them, are a random sample of all tasks: F1 is measured on those and on nothing else.
"""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.hashing import uniform_hash

SEED = "random slots"
COVERED = 0.9  # of the tasks up to the sample's end must be done: one that stays locked or open does not hold it up


def slot_order(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of `tasks`, int64 of shape (N,), in the order in which they fill random slots."""
    return np.argsort(uniform_hash(tasks, SEED), kind="stable")


def random_sample(tasks: NDArray[np.int64], done: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the `done` tasks are a random sample of all `tasks`: bool of shape (N,).

    They are the done ones among the longest start of the slot order of which at least COVERED is done.
    """
    order = slot_order(tasks)
    covered = np.cumsum(done[order]) >= COVERED * np.arange(1, len(order) + 1)
    end = int(np.flatnonzero(covered)[-1]) + 1 if covered.any() else 0
    sample = np.zeros(len(tasks), bool)
    sample[order[:end]] = True
    return sample & done


def interleave(
    picks: NDArray[np.int64], slots: NDArray[np.int64], size: int, share: float, labelled: int, sampled: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Merge picks and random slots, both task ids in their order, into a queue of at most `size`: (tasks, is_slot).

    Of the labels given so far `labelled`, `sampled` fell into the random sample: a slot comes wherever that share would
    otherwise stay behind `share`, however early each round replaces the queue, but never two rounds' worth at once.
    """
    debt = float(np.clip(share * labelled - sampled, -1, 1)) if share > 0 else 0.0
    queue: list[int] = []
    is_slot: list[bool] = []
    used: set[int] = set()
    streams = {False: iter(picks.tolist()), True: iter(slots.tolist())}
    placed = 0
    while len(queue) < size:
        want_slot = np.floor(debt + share * (len(queue) + 1) + 1e-9) > placed
        task = next((t for t in streams[want_slot] if t not in used), None)
        if task is None:  # one stream has run dry: the other fills the queue
            want_slot = not want_slot
            task = next((t for t in streams[want_slot] if t not in used), None)
        if task is None:
            break
        used.add(task)
        queue.append(task)
        is_slot.append(bool(want_slot))
        placed += want_slot
    return np.array(queue, np.int64), np.array(is_slot, bool)
