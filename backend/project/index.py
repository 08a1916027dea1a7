"""A disposable SQLite index of a project's tasks, so that a round reads changes rather than every task again.

Label Studio holds the truth: delete the file and the next round lists everything anew.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.labelling_config import Target
from model.embedding_store import embedding_key

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    task INTEGER PRIMARY KEY, reference TEXT NOT NULL, key INTEGER NOT NULL,
    state TEXT NOT NULL, label TEXT, error TEXT, tried REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS published (version TEXT NOT NULL, task INTEGER NOT NULL, score REAL NOT NULL, slot INTEGER NOT NULL,
    PRIMARY KEY (version, task));
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
SCHEMA_VERSION = 1  # raise it whenever SCHEMA changes: files of another version are thrown away
RETRY_SECONDS = 3600  # an image that could not be read is tried again after so long

UNLABELLED, LABELLED, SKIPPED, UNUSABLE = "unlabelled", "labelled", "skipped", "unusable"


@dataclass(frozen=True)
class Row:
    """A task: its image `reference`, the embedding's key, its state, and its label where it has one."""

    task: int
    reference: str
    key: int
    state: str
    label: str | None
    error: str | None


def consensus(annotations: Sequence[dict[str, Any]], target: Target) -> tuple[str, str | None]:
    """State and label of a task from its annotations: ground truth first, then the majority; a tie gives no label.

    An empty or unusable answer takes the task out of the queue without a label ("unusable"), as a tie does; a task with
    nothing but skips is "skipped".
    """
    given = [a for a in annotations if not a.get("was_cancelled")]
    if not given:
        return (SKIPPED if annotations else UNLABELLED), None
    truths = [a for a in given if a.get("ground_truth")]
    votes = Counter(filter(None, (target.chosen(a.get("result") or []) for a in truths or given)))
    best = votes.most_common(2)
    if not best or (len(best) == 2 and best[0][1] == best[1][1]):
        return UNUSABLE, None
    return LABELLED, best[0][0]


class Index:
    """The index of one project, in the file `path`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open(path)
        except sqlite3.DatabaseError:
            for leftover in path.parent.glob(path.name + "*"):
                leftover.unlink(missing_ok=True)
            self._db = self._open(path)

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(path, timeout=60, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found not in (0, SCHEMA_VERSION):
            db.close()
            raise sqlite3.DatabaseError(f"index of another version ({found})")
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return db

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def note(self, name: str) -> str:
        """A remembered value, "" where there is none."""
        row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def set_note(self, name: str, value: str) -> None:
        """Remember `value` under `name`."""
        self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def update(self, tasks: Iterable[dict[str, Any]], target: Target) -> None:
        """Take in tasks as Label Studio lists them: id, data, updated_at, annotations."""
        rows = []
        for task in tasks:
            state, label = consensus(task.get("annotations") or [], target)
            reference = str(task["data"].get(target.data_key) or "")
            key = embedding_key(task["id"], reference)
            rows.append((task["id"], reference, key, state, label))
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            """INSERT INTO tasks (task, reference, key, state, label) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (task) DO UPDATE SET
                error = CASE WHEN key = excluded.key THEN error END, reference = excluded.reference, key = excluded.key,
                state = excluded.state, label = excluded.label""",
            rows,
        )
        self._db.execute("COMMIT")

    def keep_only(self, tasks: Iterable[int]) -> None:
        """Forget all tasks but these: the others are gone from Label Studio."""
        keep = set(tasks)
        gone = [(task,) for (task,) in self._db.execute("SELECT task FROM tasks") if task not in keep]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM tasks WHERE task = ?", gone)
        self._db.executemany("DELETE FROM published WHERE task = ?", gone)
        self._db.execute("COMMIT")

    def clear(self) -> None:
        """Forget every task, so that the next sync lists them all."""
        self._db.executescript("BEGIN IMMEDIATE; DELETE FROM tasks; DELETE FROM notes; COMMIT")

    def count(self) -> int:
        """Tasks known."""
        return self._db.execute("SELECT count(*) FROM tasks").fetchone()[0]

    def counts(self) -> dict[str, int]:
        """Tasks in each state, and under "unreadable" those whose image cannot be read."""
        found = dict(self._db.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall())
        unreadable = self._db.execute("SELECT count(*) FROM tasks WHERE error IS NOT NULL").fetchone()[0]
        return {state: found.get(state, 0) for state in (UNLABELLED, LABELLED, SKIPPED, UNUSABLE)} | {"unreadable": unreadable}

    def rows(self) -> list[Row]:
        """Every task, in the order of their ids."""
        found = self._db.execute("SELECT task, reference, key, state, label, error FROM tasks ORDER BY task")
        return [Row(*row) for row in found]

    def set_errors(self, errors: dict[int, str | None]) -> None:
        """Remember why the images of tasks could not be read; None where they now can."""
        values = [(error, time.time(), task) for task, error in errors.items()]
        self._db.executemany("UPDATE tasks SET error = ?, tried = ? WHERE task = ?", values)

    def due(self) -> set[int]:
        """Tasks whose image has not failed lately, and so may be fetched."""
        limit = time.time() - RETRY_SECONDS
        return {task for (task,) in self._db.execute("SELECT task FROM tasks WHERE error IS NULL OR tried < ?", (limit,))}

    def add_published(
        self, version: str, tasks: NDArray[np.int64], scores: NDArray[np.float64], slots: NDArray[np.bool_]
    ) -> None:
        """Remember what was published: a score for each task, and which of them are random slots."""
        rows = zip([version] * len(tasks), tasks.tolist(), scores.tolist(), slots.astype(int).tolist(), strict=True)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO published VALUES (?, ?, ?, ?)", rows)
        self._db.execute("COMMIT")

    def published(self, version: str) -> dict[int, float]:
        """Scores published under `version` by task id."""
        return dict(self._db.execute("SELECT task, score FROM published WHERE version = ?", (version,)).fetchall())

    def forget_published(self, version: str) -> None:
        """Drop the record of what was published under `version`."""
        self._db.execute("DELETE FROM published WHERE version = ?", (version,))
