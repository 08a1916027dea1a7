"""How two indexes of one project become one, where machines that share no disk have one each.

A snapshot of the index goes from machine to machine (`shared_index.py`). What was read from Label Studio is taken from
whichever index has read more. What only this machine has found out since the last snapshot is kept: which images cannot be
read, and what was published.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from backend.index import answers
from backend.index.index_file import IndexFile
from backend.index.moments import SYNCED_TO, moment_of

SCHEMA = """
CREATE TABLE snapshot (tag TEXT NOT NULL, taken TEXT NOT NULL);
CREATE TABLE unsent (place INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, number INTEGER NOT NULL,
    UNIQUE (version, number));
"""
IMAGES = ""  # in place of a version in `unsent`: the number is the key of an image, else a task published under the version
TARGET = "target"  # the note of what the tasks were read for
READ = ("tasks", "strays", "notes", "accepted", *answers.TABLES)  # tables of what was read from Label Studio
FOUND = "error, retry_at, image_note"  # the columns of `tasks` that Label Studio does not tell


class Exchange:
    """What the index's `file` has sent to other machines and taken from them. Every method may raise IndexUnavailable or
    IndexLost.

    marking: whether what is found out from now on is for other machines too.
    """

    def __init__(self, file: IndexFile) -> None:
        self._file = file
        self.marking = False

    def mark(self, db: sqlite3.Connection, version: str, numbers: Iterable[int]) -> None:
        """What is known of these images, or of these tasks published under `version`, was found out here."""
        if self.marking:
            rows = ((version, number) for number in numbers)
            db.executemany("INSERT OR REPLACE INTO unsent (version, number) VALUES (?, ?)", rows)

    def tag(self) -> str:
        """The tag of the snapshot that was taken or sent last, "" where there was none."""
        return self._known()[0]

    def taken(self) -> str:
        """The tag of the last snapshot from which tasks were taken that another machine has read, "" where there was none."""
        return self._known()[1]

    def _known(self) -> tuple[str, str]:
        with self._file.reading() as db:
            return db.execute("SELECT tag, taken FROM snapshot").fetchone() or ("", "")

    def is_unsent(self) -> bool:
        """Whether something was found out here that no snapshot holds."""
        with self._file.reading() as db:
            return db.execute("SELECT 1 FROM unsent LIMIT 1").fetchone() is not None

    def write(self, path: Path) -> int:
        """Make `path` a snapshot; returns what `sent` is to be told of it."""
        with self._file.reading() as db:
            last = int(db.execute("SELECT coalesce(max(place), 0) FROM unsent").fetchone()[0])
        self._file.copy_to(path)
        return last

    def sent(self, tag: str, last: int = 0) -> None:
        """The snapshot of which `write` returned `last` is where other machines find it, and its tag is `tag`."""
        with self._file.writing() as db:
            _set_tags(db, tag, self.taken())
            db.execute("DELETE FROM unsent WHERE place <= ?", (last,))

    def take(self, snapshot: Path, tag: str, ours: bool) -> None:
        """Take in the snapshot in the file of that name, which is changed by it, in one act.

        ours: this one counts as having read more of Label Studio where that does not follow from them. Raises SnapshotUnusable.
        """
        with self._file.writing_from(snapshot) as db:
            taken = self.taken()
            if _has_read_more(db, ours):
                db.execute(_FOUND_BY_THEM)
            else:
                taken = tag
                db.execute(_FOUND_HERE)
                for table in READ:
                    _become(db, table)
            db.execute("DELETE FROM other.published WHERE (version, task) IN (SELECT version, number FROM main.unsent)")
            db.execute(_PUBLISHED_HERE)
            _become(db, "published")
            _set_tags(db, tag, taken)


def _has_read_more(db: sqlite3.Connection, ours: bool) -> bool:
    """Whether this index knows more of Label Studio than the other one; `ours` where that is not said."""
    notes = [dict(db.execute(f"SELECT name, value FROM {one}.notes")) for one in ("main", "other")]  # noqa: S608  constants
    if notes[0].get(TARGET) != notes[1].get(TARGET):
        return ours
    here, there = (moment_of(known.get(SYNCED_TO)) for known in notes)
    if here == there:
        return ours
    return there is None or (here is not None and here > there)


def _become(db: sqlite3.Connection, table: str) -> None:
    """Let a table hold what the other index's holds, and write only what differs."""
    about = db.execute(f"PRAGMA main.table_info({table})").fetchall()
    mine, theirs = (", ".join(f"{one}.{name}" for _, name, *_ in about) for one in (table, "theirs"))
    same = " AND ".join(f"theirs.{name} = {table}.{name}" for _, name, *_, key in about if key)
    db.execute(
        f"""DELETE FROM main.{table} WHERE NOT EXISTS
        (SELECT 1 FROM other.{table} AS theirs WHERE {same} AND ({theirs}) IS ({mine}))"""  # noqa: S608  constants
    )
    db.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table} ORDER BY rowid")  # noqa: S608


def _set_tags(db: sqlite3.Connection, tag: str, taken: str) -> None:
    db.execute("DELETE FROM snapshot")
    db.execute("INSERT INTO snapshot VALUES (?, ?)", (tag, taken))


_FOUND_HERE = f"""UPDATE other.tasks SET ({FOUND}) = (SELECT {FOUND} FROM main.tasks AS mine WHERE mine.task = tasks.task)
    WHERE key IN (SELECT number FROM main.unsent WHERE version = '{IMAGES}')
    AND EXISTS (SELECT 1 FROM main.tasks AS mine WHERE mine.task = tasks.task AND mine.key = tasks.key)"""  # noqa: S608
_FOUND_BY_THEM = f"""UPDATE main.tasks SET ({FOUND}) = (theirs.error, theirs.retry_at, theirs.image_note)
    FROM other.tasks AS theirs WHERE theirs.task = tasks.task AND theirs.key = tasks.key
    AND (theirs.error, theirs.retry_at, theirs.image_note) IS NOT (tasks.error, tasks.retry_at, tasks.image_note)
    AND tasks.key NOT IN (SELECT number FROM main.unsent WHERE version = '{IMAGES}')"""  # noqa: S608
_PUBLISHED_HERE = """INSERT INTO other.published SELECT mine.* FROM main.published AS mine
    JOIN main.unsent ON unsent.version = mine.version AND unsent.number = mine.task"""
