"""What the index and the embeddings know of a project, as the arrays that a round learns from."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.several import names_of
from backend.learning.audit import audited
from backend.learning.random_sample import RandomSample
from backend.learning.rounds import Labelled, Pool
from backend.project.consensus import ACCEPTED, LABELLED, UNLABELLED
from backend.project.index import Row
from model.embedding_store import EmbeddingStore

Bools = NDArray[np.bool_]


def labelled_and_pool(
    rows: Sequence[Row],
    classes: Sequence[str],
    store: EmbeddingStore,
    draw: Callable[[NDArray[np.int64], Bools, Bools, Bools], RandomSample],
    unseen: Callable[[NDArray[np.int64]], Bools],
    whole: bool = True,
    several: bool = False,
    accepted: Collection[int] = (),
) -> tuple[Labelled, Pool]:
    """The labelled images, and the unlabelled, unskipped ones, of `rows`, as far as they have embeddings in `store`.

    draw: the random sample of (tasks, labelled, left, accepted); unseen: which tasks the backbone has never seen. Without
    `whole` the embeddings of the pool are not read, and the pool is empty. several: whether labels are sets of `classes`;
    accepted: tasks that bear an accepted label, also those that a person has labelled since.
    """
    store.refresh()
    states = np.array([row.state for row in rows], "U10")
    tasks = np.array([row.task for row in rows], np.int64)
    keys = np.array([row.key for row in rows], np.int64)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers.get(row.label or "", -1) for row in rows], np.int64)
    usable, unlabelled = (states == LABELLED) & ((labels >= 0) | several), states == UNLABELLED
    bear = np.isin(tasks, list(accepted))
    audits = (states == ACCEPTED) & bear & audited(tasks)
    unlabelled |= audits
    taught, pool = np.flatnonzero(usable), np.flatnonzero(unlabelled if whole else np.zeros(len(rows), bool))
    (of_taught, read), (of_pool, read_too) = store.get(keys[taught].tolist()), store.get(keys[pool].tolist())
    embedded = ~np.isin(keys, store.missing(keys.tolist()))
    unreadable = np.array([row.error is not None for row in rows], bool) & ~embedded
    left = (~unlabelled & ~usable) | unreadable
    sample = draw(tasks, usable & ~left, left, bear)
    taught = taught[read]
    if not read_too.all():  # else to choose would copy them all
        pool, of_pool = pool[read_too], of_pool[read_too]
    return (
        Labelled(
            tasks[taught],
            _sets([rows[row].label or "" for row in taught.tolist()], numbers) if several else labels[taught],
            of_taught[read].astype(np.float32),
            sample.weights[taught],
            unseen(tasks[taught]),
            sample.unjudged,
        ),
        Pool(tasks[pool], of_pool, sample.turns[pool], audits[pool]),
    )


def _sets(labels: Sequence[str], numbers: Mapping[str, int]) -> Bools:
    """Which of C classes each of n labels holds, bool (n, C)."""
    found = np.zeros((len(labels), len(numbers)), bool)
    for row, label in enumerate(labels):
        found[row, [numbers[name] for name in names_of(label) if name in numbers]] = True
    return found
