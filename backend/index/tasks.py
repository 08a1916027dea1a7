"""The tasks of a project's index by their state: as arrays, or as few of them as are asked for, so that a million of them are
never made into objects."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.index.consensus import ACCEPTED, LABELLED, SKIPPED, UNLABELLED, UNUSABLE
from backend.index.index_file import IndexFile

STATES = (UNLABELLED, LABELLED, SKIPPED, UNUSABLE, ACCEPTED)
NUMBER = f"CASE state {' '.join(f'WHEN {state!r} THEN {number}' for number, state in enumerate(STATES))} END"  # of a state
COLUMNS = [("task", np.int64), ("key", np.int64), ("state", np.uint8), ("unreadable", np.bool_)]


class Row(NamedTuple):
    """A task: its image `reference`, the embedding's key, its state, and its label where it has one.

    error: why its image cannot be read; remark: why its answer cannot be used. redacted: the reference is not the whole one,
    which holds a secret or is too long to keep: `Session.reference` asks Label Studio for it.
    """

    task: int
    reference: str
    key: int
    state: str
    label: str | None
    error: str | None
    remark: str = ""
    redacted: bool = False


ROW = "task, reference, key, state, label, error, remark, redacted"  # the columns of a Row


@dataclass(frozen=True, eq=False)
class TaskArrays:
    """All N tasks in the order of their ids. tasks, keys of their images: int64 (N,); states: uint8 (N,), numbers of STATES;
    unreadable: bool (N,), whose image cannot be read; labels: of each labelled task its class, or its set of them as text."""

    tasks: NDArray[np.int64]
    keys: NDArray[np.int64]
    states: NDArray[np.uint8]
    unreadable: NDArray[np.bool_]
    labels: dict[int, str]

    def are(self, state: str) -> NDArray[np.bool_]:
        """Which are in `state`, bool (N,)."""
        return self.states == STATES.index(state)


class Tasks:
    """The tasks in the index's `file`. Every method may raise IndexUnavailable or IndexLost."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file

    def arrays(self) -> TaskArrays:
        """All of them."""
        with self._file.reading() as db:
            db.execute("BEGIN")  # both questions about the same moment
            try:
                every = db.execute(f"SELECT task, key, {NUMBER}, error IS NOT NULL FROM tasks ORDER BY task")  # noqa: S608
                found = np.fromiter(every, np.dtype(COLUMNS))
                labels = dict(db.execute("SELECT task, coalesce(label, '') FROM tasks WHERE state = ?", (LABELLED,)))
            finally:
                db.rollback()
        tasks, keys, states, unreadable = (np.ascontiguousarray(found[name]) for name, _ in COLUMNS)
        return TaskArrays(tasks, keys, states, unreadable, labels)

    def of(self, *states: str) -> NDArray[np.int64]:
        """The tasks in any of `states`, int64 (n,), in order."""
        marks = ", ".join("?" * len(states))
        with self._file.reading() as db:
            found = db.execute(f"SELECT task FROM tasks WHERE state IN ({marks}) ORDER BY task", states)  # noqa: S608
            return np.fromiter((task for (task,) in found), np.int64)

    def pool(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The unlabelled tasks and the keys of their images, int64 of shape (N,) each, in the order of the tasks' ids."""
        with self._file.reading() as db:
            every = db.execute("SELECT task, key FROM tasks WHERE state = ? ORDER BY task", (UNLABELLED,))
            found = np.fromiter(every, np.dtype(COLUMNS[:2]))
        return np.ascontiguousarray(found["task"]), np.ascontiguousarray(found["key"])

    def barred(self) -> set[int]:
        """Tasks whose image has failed lately, and may not be fetched yet."""
        statement = "SELECT task FROM tasks WHERE error IS NOT NULL AND (retry_at IS NULL OR retry_at >= ?)"
        with self._file.reading() as db:
            return {task for (task,) in db.execute(statement, (time.time(),))}

    def newest(self) -> int:
        """The highest id of a task, 0 where there is none."""
        with self._file.reading() as db:
            return int(db.execute("SELECT coalesce(max(task), 0) FROM tasks").fetchone()[0])

    def labels(self) -> dict[int, str]:
        """Of each labelled task its class, or its set of them as text, in the order of the tasks' ids."""
        with self._file.reading() as db:
            return dict(db.execute("SELECT task, label FROM tasks WHERE state = ? ORDER BY task", (LABELLED,)))

    def label_counts(self) -> list[tuple[str, int]]:
        """What answers amount to, each label once, and how many tasks have it."""
        with self._file.reading() as db:
            return db.execute("SELECT label, count(*) FROM tasks WHERE label IS NOT NULL GROUP BY label").fetchall()

    def keys(self, tasks: Iterable[int]) -> list[int]:
        """The keys of the images of `tasks` that are in the project, in their order."""
        with self._file.reading() as db:
            return [db.execute("SELECT key FROM tasks WHERE task = ?", (task,)).fetchone()[0] for task in tasks]

    def known(self, tasks: Iterable[int]) -> dict[int, tuple[str, str | None]]:
        """State and label of those of `tasks` that are in the project."""
        statement = "SELECT state, label FROM tasks WHERE task = ?"
        with self._file.reading() as db:
            found = {task: db.execute(statement, (task,)).fetchone() for task in tasks}
        return {task: row for task, row in found.items() if row}

    def published(self, version: str, *states: str) -> dict[int, float]:
        """Those published under `version` that are in any of `states`, each with its score."""
        marks = ", ".join("?" * len(states))
        statement = f"""SELECT task, score FROM published JOIN tasks USING (task)
            WHERE version = ? AND state IN ({marks})"""  # noqa: S608
        with self._file.reading() as db:
            return dict(db.execute(statement, (version, *states)))
