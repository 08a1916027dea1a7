"""Which tasks of a project bear a label that was accepted from the model: a part of the index, found anew in Label Studio.

Predictions and annotations alike say so by their mark (`labelstudio/accepted.py`). Such a label is nobody's: it teaches
nothing, and a task that has no other one is "accepted", which takes it out of the queue.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backend.index.consensus import ACCEPTED, UNLABELLED, listed_of
from backend.index.index_file import IndexFile
from backend.labelstudio.accepted import VERSION, Mark, accepted_mark, mark_of
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.labelling_config import Target

SCHEMA = """
CREATE TABLE accepted (task INTEGER PRIMARY KEY, label TEXT, version TEXT NOT NULL, error REAL NOT NULL,
    predicted INTEGER NOT NULL, annotated INTEGER NOT NULL);
"""


class AcceptedLabel(NamedTuple):
    """The accepted `label` of a task, None for one that is no class any more; version: whose head gave it; error: the share of
    wrong ones that was promised; predicted, annotated: whether Label Studio holds it as a prediction, and as an annotation."""

    task: int
    label: str | None
    version: str
    error: float
    predicted: bool
    annotated: bool


class Accepted:
    """The accepted labels in the index's `file`. Every method may raise IndexUnavailable or IndexLost."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file

    def all(self) -> list[AcceptedLabel]:
        """Every accepted label, also of tasks that a person has labelled since, in the order of the tasks' ids."""
        statement = "SELECT task, label, version, error, predicted, annotated FROM accepted ORDER BY task"
        with self._file.reading() as db:
            return [AcceptedLabel._make((*row[:4], bool(row[4]), bool(row[5]))) for row in db.execute(statement)]

    def predicted(self) -> int:
        """How many of them are known to be predictions in Label Studio."""
        with self._file.reading() as db:
            return int(db.execute("SELECT count(*) FROM accepted WHERE predicted").fetchone()[0])

    def set_predicted(self, labels: Mapping[int, tuple[str | None, Mark]]) -> None:
        """Let these tasks, and no others, have an accepted prediction."""
        with self._file.writing() as db:
            db.execute("UPDATE accepted SET predicted = 0")
            _add(db, labels, "predicted")
            _settle(db)


def take_in(db: sqlite3.Connection, tasks: Iterable[tuple[int, dict[str, Any]]], target: Target) -> None:
    """Keep which of `tasks`, as Label Studio lists them, have an accepted annotation; their predictions are not listed."""
    known, labels = dict(tasks), {}
    for task, listed in known.items():
        for annotation in listed_of(listed.get("annotations")):
            if mark := accepted_mark(annotation):
                labels[task] = target.answer(annotation["result"]).choice, mark
    db.executemany("UPDATE accepted SET annotated = 0 WHERE task = ?", [(task,) for task in known])
    _add(db, labels, "annotated")


def settle_new(db: sqlite3.Connection) -> None:
    """Let tasks that were just read and have an accepted label alone be accepted. `tasks` holds what people said of them."""
    db.execute("DELETE FROM accepted WHERE NOT predicted AND NOT annotated")
    db.execute("UPDATE tasks SET state = ? WHERE task IN (SELECT task FROM accepted) AND state = ?", (ACCEPTED, UNLABELLED))


def forget(db: sqlite3.Connection, tasks: list[tuple[int]]) -> None:
    """Drop what is known of `tasks`."""
    db.executemany("DELETE FROM accepted WHERE task = ?", tasks)


def _add(db: sqlite3.Connection, labels: Mapping[int, tuple[str | None, Mark]], how: str) -> None:
    rows = [
        (task, label, mark.version, mark.error, how == "predicted", how == "annotated")
        for task, (label, mark) in labels.items()
    ]
    db.executemany(
        f"""INSERT INTO accepted VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (task) DO UPDATE SET
        {how} = 1, label = excluded.label, version = excluded.version, error = excluded.error""",  # noqa: S608  two constants
        rows,
    )


def _settle(db: sqlite3.Connection) -> None:
    settle_new(db)
    statement = "UPDATE tasks SET state = ? WHERE state = ? AND task NOT IN (SELECT task FROM accepted)"
    db.execute(statement, (UNLABELLED, ACCEPTED))


def sync_accepted(accepted: Accepted, label_studio: LabelStudio, project: int, target: Target) -> None:
    """Read the accepted predictions where Label Studio holds another number of them than is known, since predictions change
    no task. Raises LabelStudioError, IndexUnavailable."""
    if label_studio.prediction_counts(project).get(VERSION, 0) == accepted.predicted():
        return
    labels: dict[int, tuple[str | None, Mark]] = {}
    for prediction in label_studio.predictions(project, VERSION):
        if mark := mark_of(prediction["result"]):
            labels[prediction["task"]] = target.answer(prediction["result"]).choice, mark
    accepted.set_predicted(labels)
