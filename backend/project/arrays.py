"""What the index and the embeddings know of a project, as the arrays that a round learns from."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.index.consensus import ACCEPTED, LABELLED, UNLABELLED
from backend.index.tasks import TaskArrays
from backend.labelstudio.several import names_of
from backend.learning.audit import audited
from backend.learning.random_sample import RandomSample
from backend.learning.rounds import Labelled, Pool
from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.stored_embeddings import embeddings_of

Bools = NDArray[np.bool_]


def labelled_and_pool(
    every: TaskArrays,
    classes: Sequence[str],
    store: EmbeddingStore,
    draw: Callable[[NDArray[np.int64], Bools, Bools, Bools], RandomSample],
    unseen: Callable[[NDArray[np.int64]], Bools],
    whole: bool = True,
    several: bool = False,
    accepted: Collection[int] = (),
) -> tuple[Labelled, Pool]:
    """The labelled images, and the unlabelled, unskipped ones, of `every` task, as far as they have embeddings in `store`.

    draw: the random sample of (tasks, labelled, left, accepted); unseen: which tasks the backbone has never seen. Without
    `whole` the embeddings of the pool are not read, and the pool is empty. several: whether labels are sets of `classes`;
    accepted: tasks that bear an accepted label, also those that a person has labelled since.
    """
    store.refresh()
    tasks, keys = every.tasks, every.keys
    numbers = {name: number for number, name in enumerate(classes)}
    usable, unlabelled = every.are(LABELLED), every.are(UNLABELLED)
    if not several:
        usable[np.flatnonzero(usable)] = [every.labels[task] in numbers for task in tasks[usable].tolist()]
    bear = np.isin(tasks, list(accepted))
    audits = every.are(ACCEPTED) & bear & audited(tasks)
    unlabelled |= audits
    taught, pool = np.flatnonzero(usable), np.flatnonzero(unlabelled if whole else np.zeros(len(tasks), bool))
    (of_taught, read), (of_pool, in_store) = store.get(keys[taught]), embeddings_of(store, keys[pool])
    unreadable = every.unreadable & ~store.has(keys)
    left = (~unlabelled & ~usable) | unreadable
    sample = draw(tasks, usable & ~left, left, bear)
    taught = taught[read]
    pool = pool[in_store]
    labels = [every.labels[task] for task in tasks[taught].tolist()]
    return (
        Labelled(
            tasks[taught],
            _sets(labels, numbers) if several else np.array([numbers[label] for label in labels], np.int64),
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
