"""A disposable SQLite index of a project's tasks, so that a round reads changes rather than every task again.

Label Studio holds the truth: delete the file and the next round lists everything anew. No task, annotation or image keeps
another from being taken in; what cannot be used stays here with its reason, and `problems` counts the reasons.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.index import accepted, answers, exchange, published
from backend.index.accepted import Accepted
from backend.index.answers import Answers
from backend.index.consensus import ACCEPTED, LABELLED, SKIPPED, UNLABELLED, UNUSABLE, Consensus, consensus
from backend.index.exchange import IMAGES, READ, Exchange
from backend.index.index_file import IndexFile, IndexLost
from backend.index.listed import LONGEST_ID, name_of, task_id
from backend.index.problems import IMAGE, PARTIAL, TASK, Problem, group
from backend.index.published import Published
from backend.index.tasks import ROW, Row, Tasks
from backend.labelstudio.labelling_config import Target
from backend.labelstudio.redaction import redact
from backend.labelstudio.task_data import TaskDataError, kind_of, quoted
from model.embeddings.embedding_store import embedding_key

__all__ = ["ACCEPTED", "LABELLED", "RETRY_SECONDS", "SKIPPED", "UNLABELLED", "UNUSABLE", "Index", "Row"]

LOOK_UPS = """
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX tasks_in_trouble ON tasks (trouble) WHERE trouble != '';
CREATE INDEX tasks_unreadable ON tasks (retry_at) WHERE error IS NOT NULL;
CREATE INDEX tasks_read_in_part ON tasks (task) WHERE image_note IS NOT NULL;
"""
SCHEMA = """
CREATE TABLE tasks (
    task INTEGER PRIMARY KEY, reference TEXT NOT NULL, redacted INTEGER NOT NULL, key INTEGER NOT NULL,
    state TEXT NOT NULL, label TEXT, trouble TEXT NOT NULL, remark TEXT NOT NULL,
    error TEXT, retry_at REAL NOT NULL DEFAULT 0, image_note TEXT);
CREATE INDEX tasks_by_key ON tasks (key);
CREATE TABLE strays (name TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
NOTE = """
INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value != excluded.value
"""
TAKE_IN = """
INSERT INTO tasks (task, reference, redacted, key, state, label, trouble, remark, error, retry_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task) DO UPDATE SET
    error = CASE WHEN excluded.error IS NULL AND key = excluded.key THEN error ELSE excluded.error END,
    retry_at = CASE WHEN excluded.error IS NULL AND key = excluded.key THEN retry_at ELSE excluded.retry_at END,
    image_note = CASE WHEN key = excluded.key THEN image_note END,
    reference = excluded.reference, redacted = excluded.redacted, key = excluded.key,
    state = excluded.state, label = excluded.label, trouble = excluded.trouble, remark = excluded.remark
WHERE (reference, redacted, key, state, label, trouble, remark)
    IS NOT (excluded.reference, excluded.redacted, excluded.key, excluded.state, excluded.label, excluded.trouble,
    excluded.remark)
    OR excluded.error IS NOT NULL AND (error, retry_at) IS NOT (excluded.error, excluded.retry_at)
"""
PARTS = answers.SCHEMA + accepted.SCHEMA + published.SCHEMA + exchange.SCHEMA
SCHEMA_VERSION = 7  # raise it whenever SCHEMA changes: files of a version that is not in UPGRADES are set aside
UPGRADES = {5: LOOK_UPS + exchange.SCHEMA, 6: exchange.SCHEMA}  # what makes a file of that version one of this
RETRY_SECONDS = 3600  # an image that could not be read is tried again after so long
AWAITED_SECONDS = 120  # an image that is tried again sooner may only be out of reach for the moment
NEVER = float("inf")


class Index:
    """The index of one project, in the file `path`. Every method may raise IndexUnavailable or IndexLost."""

    def __init__(self, path: Path) -> None:
        self._file = IndexFile(path, SCHEMA + LOOK_UPS + PARTS, SCHEMA_VERSION, UPGRADES)
        self.answers, self.accepted, self.tasks = Answers(self._file), Accepted(self._file), Tasks(self._file)
        self.exchange = Exchange(self._file)
        self.published = Published(self._file, self.exchange)
        self._file.open()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    @property
    def changes(self) -> int:
        """How many rows were written since it was opened."""
        return self._file.changes

    def note(self, name: str) -> str:
        """A remembered value, "" where there is none."""
        with self._file.reading() as db:
            row = db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set_note(self, name: str, value: str) -> None:
        """Remember `value` under `name`."""
        self.set_notes({name: value})

    def set_notes(self, notes: Mapping[str, str], taken: str | None = None) -> bool:
        """Remember all of `notes`, by their names. taken: only where `exchange.taken` still says so; returns whether it did."""
        with self._file.writing() as db:
            if taken is not None and self.exchange.taken() != taken:
                return False
            db.executemany(NOTE, notes.items())
        return True

    def update(self, tasks: Iterable[Any], target: Target) -> None:
        """Take in tasks as Label Studio lists them: id, data, annotations. What cannot be used is kept with its reason."""
        rows, strays, listed = [], [], []
        for task in tasks:
            number = task_id(task)
            if number is None:
                strays.append((name_of(task), f"its id cannot be used: {name_of(task)}"))
                continue
            answer = consensus(task.get("annotations"), target)
            reference, error = image_reference(task.get("data"), target)
            rows.append(_values(number, reference, answer, error))
            listed.append((number, task))
        with self._file.writing() as db:
            answers.take_in(db, listed, target)
            accepted.take_in(db, listed, target)
            db.executemany("INSERT OR REPLACE INTO strays VALUES (?, ?)", strays)
            db.executemany(TAKE_IN, rows)
            accepted.settle_new(db)

    def set_unlistable(self, tasks: Mapping[int, str]) -> None:
        """Keep tasks that Label Studio cannot list, with the reason: they are there, and nothing can be learned from them. They
        are due, that is to be asked for again, after RETRY_SECONDS."""
        again = time.time() + RETRY_SECONDS
        answers = {task: Consensus(UNUSABLE, None, TASK, _clean(why)) for task, why in tasks.items()}
        rows = [(*_values(task, "", answer, answer.remark)[:-1], again) for task, answer in answers.items()]
        with self._file.writing() as db:
            db.executemany(
                """INSERT OR REPLACE INTO tasks
                (task, reference, redacted, key, state, label, trouble, remark, error, retry_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                rows,
            )

    def keep_only(self, tasks: Iterable[int], first: int = 0, last: int = LONGEST_ID - 1) -> None:
        """Forget all tasks of ids from `first` to `last` but these: the others are gone from Label Studio."""
        keep = set(tasks)
        with self._file.reading() as db:
            known = {task for (task,) in db.execute("SELECT task FROM tasks WHERE task BETWEEN ? AND ?", (first, last))}
        self.forget(known - keep)

    def forget(self, tasks: Iterable[int]) -> None:
        """Forget `tasks`, which are gone from Label Studio."""
        gone = [(task,) for task in tasks]
        with self._file.writing() as db:
            db.executemany("DELETE FROM tasks WHERE task = ?", gone)
            self.published.withdraw(db, {task for (task,) in gone})
            answers.forget(db, gone)
            accepted.forget(db, gone)
            db.execute("DELETE FROM strays")

    def clear(self) -> None:
        """Forget every task, so that the next sync lists them all."""
        with self._file.writing() as db:
            for table in READ:
                db.execute(f"DELETE FROM {table}")  # noqa: S608  constants

    def count(self, first: int = 0, last: int = LONGEST_ID - 1) -> int:
        """How many tasks of ids from `first` to `last` are known."""
        with self._file.reading() as db:
            return int(db.execute("SELECT count(*) FROM tasks WHERE task BETWEEN ? AND ?", (first, last)).fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Tasks in each state, and under "unreadable" those whose image cannot be read."""
        with self._file.reading() as db:
            states = dict(db.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall())
            (unreadable,) = db.execute("SELECT count(*) FROM tasks WHERE error IS NOT NULL").fetchone()
        return {state: states.get(state, 0) for state in (UNLABELLED, LABELLED, SKIPPED, UNUSABLE, ACCEPTED)} | {
            "unreadable": unreadable
        }

    def problems(self) -> list[Problem]:
        """What cannot be used, each reason once with its number, most tasks first; empty where all is well."""
        with self._file.reading() as db:
            found = db.execute(
                """SELECT task, trouble, remark FROM tasks WHERE trouble != ''
                UNION ALL SELECT task, ?, error FROM tasks WHERE error IS NOT NULL AND trouble != ?
                UNION ALL SELECT task, ?, image_note FROM tasks WHERE image_note IS NOT NULL
                ORDER BY task""",
                (IMAGE, TASK, PARTIAL),
            ).fetchall()
            strays = db.execute("SELECT reason FROM strays ORDER BY name").fetchall()
        return group(found) + [Problem(TASK, reason, 1, ()) for (reason,) in strays]

    def troubled(self, kind: str, due: bool = False) -> list[int]:
        """Ids of the tasks whose answer cannot be used for a reason of `kind`, such as "empty" or "class"; `due`: only of those
        that `due` has."""
        statement = "SELECT task FROM tasks WHERE trouble = ? AND (? OR error IS NULL OR retry_at < ?) ORDER BY task"
        with self._file.reading() as db:
            return [task for (task,) in db.execute(statement, (kind, not due, time.time()))]

    def rows(self) -> list[Row]:
        """Every task, in the order of their ids."""
        with self._file.reading() as db:
            found = db.execute(f"SELECT {ROW} FROM tasks ORDER BY task").fetchall()  # noqa: S608  a constant
        return [Row._make(row) for row in found]

    def rows_of(self, tasks: Iterable[int]) -> list[Row]:
        """Those of `tasks` that are in the project, in their order."""
        statement = f"SELECT {ROW} FROM tasks WHERE task = ?"  # noqa: S608  a constant
        with self._file.reading() as db:
            found = (db.execute(statement, (task,)).fetchone() for task in tasks)
            return [Row._make(row) for row in found if row]

    def parts_of(self, tasks: Sequence[int] | NDArray[np.int64], size: int) -> Iterator[list[Row]]:
        """`rows_of` these tasks, `size` at a time as they are asked for: a project may have millions."""
        return (self.rows_of([int(task) for task in tasks[start : start + size]]) for start in range(0, len(tasks), size))

    def row(self, task: int) -> Row | None:
        """The task of this id, None where there is none."""
        return next(iter(self.rows_of([task])), None)

    def set_errors(self, errors: Mapping[int, str | None], again_in: Mapping[int, float | None] | None = None) -> None:
        """Remember by embedding key why images could not be read; None where they now can.

        By key and not by task: what a request asked for under another address says nothing about the task's own image.
        again_in: seconds until an image is tried again; RETRY_SECONDS where that is None or not said.
        """
        now = time.time()
        waits = {key: wait for key, wait in (again_in or {}).items() if wait is not None}
        values = [(key, error and _clean(error), now + waits.get(key, RETRY_SECONDS)) for key, error in errors.items()]
        self._hint(
            "UPDATE tasks SET error = ?2, retry_at = ?3 WHERE key = ?1 AND (error IS NOT NULL OR ?2 IS NOT NULL)", values
        )

    def set_image_notes(self, notes: Mapping[int, str | None]) -> None:
        """Remember by embedding key how images were read only in part; None where they were read whole."""
        values = [(key, note and _clean(note)) for key, note in notes.items()]
        self._hint("UPDATE tasks SET image_note = ?2 WHERE key = ?1 AND image_note IS NOT ?2", values)

    def awaited(self) -> set[int]:
        """Tasks whose image could not be read, and may only be out of reach for the moment: it is tried again soon."""
        with self._file.reading() as db:
            limit = (time.time() + AWAITED_SECONDS,)
            return {task for (task,) in db.execute("SELECT task FROM tasks WHERE error IS NOT NULL AND retry_at < ?", limit)}

    def _hint(self, statement: str, values: list[tuple[Any, ...]]) -> None:
        """Write about images, each by its key, what is no loss where the index was replaced meanwhile."""
        if not values:
            return
        try:
            with self._file.writing() as db:
                self.exchange.mark(db, IMAGES, [value[0] for value in values if db.execute(statement, value).rowcount])
        except IndexLost:
            return


def image_reference(data: Any, target: Target) -> tuple[str, str | None]:
    """The image's address, and where the task's data hold none: "" and why."""
    if not isinstance(data, dict):
        return "", f"the task's data are {kind_of(data)}, not an object with {quoted(target.data_key)}"
    try:
        reference = target.reference(data)
    except TaskDataError as error:
        return "", str(error)
    return reference, None if reference else f"the task's data hold no image under {quoted(target.data_key)}"


def _values(task: int, reference: str, answer: Consensus, error: str | None) -> tuple[Any, ...]:
    """A row of the table `tasks`, from `task` to `retry_at`."""
    kept = redact(reference)
    key = embedding_key(task, _clean(reference))
    state = (answer.state, answer.label, answer.trouble, answer.remark)
    return (task, kept, kept != reference, key, *state, error, NEVER if error else 0.0)


def _clean(text: str) -> str:
    """`text` without lone surrogates, which no file takes."""
    return text.encode("utf-8", "backslashreplace").decode()
