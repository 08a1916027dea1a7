"""What the index and the embeddings know of a project, as the arrays that a round learns from."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.learning.random_sample import RandomSample
from backend.learning.rounds import Labelled, Pool
from backend.project.consensus import LABELLED, UNLABELLED
from backend.project.index import Row
from model.embedding_store import EmbeddingStore

Bools = NDArray[np.bool_]


def labelled_and_pool(
    rows: Sequence[Row],
    classes: Sequence[str],
    store: EmbeddingStore,
    draw: Callable[[NDArray[np.int64], Bools, Bools], RandomSample],
    unseen: Callable[[NDArray[np.int64]], Bools],
    whole: bool = True,
) -> tuple[Labelled, Pool]:
    """The labelled images, and the unlabelled, unskipped ones, of `rows`, as far as they have embeddings in `store`.

    draw: the random sample of (tasks, labelled, left); unseen: which tasks the backbone has never seen. Without `whole` the
    embeddings of the pool are not read, and the pool is empty.
    """
    store.refresh()
    wanted = np.array([whole or row.state == LABELLED for row in rows], bool)
    embeddings, there = store.get([row.key for row, want in zip(rows, wanted, strict=True) if want])
    at = np.cumsum(wanted) - 1  # where a wanted row's embedding is
    embedded = wanted.copy()
    embedded[wanted] = there
    states = np.array([row.state for row in rows], "U10")
    tasks = np.array([row.task for row in rows], np.int64)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers.get(row.label or "", -1) for row in rows], np.int64)
    usable = (states == LABELLED) & (labels >= 0)
    unreadable = np.array([row.error is not None for row in rows], bool) & ~embedded
    left = ((states != UNLABELLED) & ~usable) | unreadable
    sample = draw(tasks, usable & ~left, left)
    taught = np.flatnonzero(usable & embedded)
    pool = np.flatnonzero((states == UNLABELLED) & embedded)
    return (
        Labelled(
            tasks[taught],
            labels[taught],
            embeddings[at[taught]],
            sample.weights[taught],
            unseen(tasks[taught]),
            sample.unjudged,
        ),
        Pool(tasks[pool], embeddings[at[pool]], sample.turns[pool]),
    )
