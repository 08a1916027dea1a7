"""What was published as predictions, under which version and at which place of its queue: a part of the index.

Label Studio holds the predictions; where another number of them is there, the record is made anew from them.
"""

import sqlite3

import numpy as np
from numpy.typing import NDArray

from backend.index.consensus import UNLABELLED
from backend.index.exchange import Exchange
from backend.index.index_file import IndexFile
from backend.index.tasks import ROW, Row

SCHEMA = """
CREATE TABLE published (version TEXT NOT NULL, task INTEGER NOT NULL, score REAL NOT NULL, slot INTEGER NOT NULL,
    PRIMARY KEY (version, task));
"""


class Published:
    """The record in the index's `file`. Every method may raise IndexUnavailable or IndexLost."""

    def __init__(self, file: IndexFile, exchange: Exchange) -> None:
        self._file, self._exchange = file, exchange

    def add(self, version: str, tasks: NDArray[np.int64], scores: NDArray[np.float64], slots: NDArray[np.bool_]) -> None:
        """Remember what was published: a score for each task, and which of them are random slots."""
        rows = zip([version] * len(tasks), tasks.tolist(), scores.tolist(), slots.astype(int).tolist(), strict=True)
        with self._file.writing() as db:
            db.executemany("INSERT OR REPLACE INTO published VALUES (?, ?, ?, ?)", rows)
            self._exchange.mark(db, version, tasks.tolist())

    def forget(self, version: str) -> None:
        """Drop the record of `version`."""
        with self._file.writing() as db:
            known = db.execute("SELECT task FROM published WHERE version = ?", (version,)).fetchall()
            self._exchange.mark(db, version, (task for (task,) in known))
            db.execute("DELETE FROM published WHERE version = ?", (version,))

    def scores(self, version: str) -> dict[int, float]:
        """Scores published under `version` by task id."""
        with self._file.reading() as db:
            return dict(db.execute("SELECT task, score FROM published WHERE version = ?", (version,)).fetchall())

    def slots(self, version: str) -> set[int]:
        """Tasks published under `version` as random slots, without a guess."""
        with self._file.reading() as db:
            return {task for (task,) in db.execute("SELECT task FROM published WHERE version = ? AND slot", (version,))}

    def queue(self, version: str, size: int) -> list[tuple[Row, float, bool]]:
        """The first `size` unlabelled tasks of what was published under `version`, each with its score and whether it is
        a random slot, in the order in which Label Studio serves them."""
        statement = f"""SELECT {ROW}, score, slot FROM published JOIN tasks USING (task)
            WHERE version = ? AND state = ? ORDER BY score, task LIMIT ?"""  # noqa: S608  a constant
        with self._file.reading() as db:
            found = db.execute(statement, (version, UNLABELLED, size)).fetchall()
        return [(Row._make(row), score, bool(slot)) for *row, score, slot in found]

    def withdraw(self, db: sqlite3.Connection, tasks: set[int]) -> None:
        """Drop what is known of `tasks`, which are gone."""
        for version, task in db.execute("SELECT version, task FROM published").fetchall() if tasks else ():
            if task in tasks:
                self._exchange.mark(db, version, [task])
                db.execute("DELETE FROM published WHERE version = ? AND task = ?", (version, task))
