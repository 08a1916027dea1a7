"""Who said what of each task: every annotation of a project, and of how many people each task wants one.

A part of the index, written with it and as disposable as it is. `consensus` says what a task's annotations amount to together;
here they stay apart, for pages and jobs that look at annotators and at their agreement.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

from backend.index.consensus import Consensus, annotations_of, answered, is_true
from backend.index.index_file import IndexFile
from backend.labelstudio.labelling_config import Target

SCHEMA = """
CREATE TABLE answers (
    task INTEGER NOT NULL, number INTEGER NOT NULL, person INTEGER, choice TEXT, truth INTEGER NOT NULL,
    skipped INTEGER NOT NULL, made TEXT NOT NULL, seconds REAL, PRIMARY KEY (task, number));
CREATE TABLE overlaps (task INTEGER PRIMARY KEY, wanted INTEGER NOT NULL, is_open INTEGER NOT NULL);
CREATE TABLE weighed (task INTEGER PRIMARY KEY, sureness REAL);
"""
TABLES = ("answers", "overlaps", "weighed")
LAST = 500  # labels whose time says how fast people are; they lie in the order in which they were read
LONGEST_SECONDS = 7 * 86_400.0  # that somebody may have looked at one image; what is longer is no time at all
LARGEST = 2**31  # ids and numbers of people, as Label Studio counts


class Answer(NamedTuple):
    """What `person` said of `task`: their id in Label Studio, None where it does not say; the class, None for what cannot be
    used; whether it is ground truth; whether it is a skip; when, as Label Studio writes it; and how many seconds it took."""

    task: int
    person: int | None
    choice: str | None
    truth: bool
    skipped: bool
    made: str
    seconds: float | None


class Wanted(NamedTuple):
    """How many people are wanted for a task, and whether Label Studio still asks for more."""

    task: int
    people: int
    is_open: bool


class Answers:
    """The answers in the index's `file`. Every method may raise IndexUnavailable or IndexLost."""

    def __init__(self, file: IndexFile) -> None:
        self._file = file

    def all(self) -> list[Answer]:
        """Every answer, in the order of the tasks' ids and, of one task, as Label Studio lists them."""
        return self._read("", ())

    def of(self, task: int) -> list[Answer]:
        """The answers of one task."""
        return self._read("WHERE task = ?", (task,))

    def people(self) -> set[int]:
        """Whoever has answered any task."""
        with self._file.reading() as db:
            return {person for (person,) in db.execute("SELECT DISTINCT person FROM answers WHERE person IS NOT NULL")}

    def wanted(self, task: int) -> Wanted | None:
        """How many people are wanted for one task; None where Label Studio does not tell."""
        with self._file.reading() as db:
            found = db.execute("SELECT task, wanted, is_open FROM overlaps WHERE task = ?", (task,)).fetchone()
        return Wanted(found[0], found[1], bool(found[2])) if found else None

    def several(self, fresh: bool = False) -> list[int]:
        """Tasks for which two people or more have named a class; `fresh` ones only: those that have not been weighed since."""
        among = "AND task NOT IN (SELECT task FROM weighed)" if fresh else ""
        return self._tasks(
            f"""SELECT task FROM answers WHERE choice IS NOT NULL AND person IS NOT NULL {among}
            GROUP BY task HAVING count(DISTINCT person) > 1"""  # noqa: S608  constants
        )

    def sureness(self) -> dict[int, float]:
        """How sure the label of a task is, as far as answers have been weighed."""
        with self._file.reading() as db:
            return dict(db.execute("SELECT task, sureness FROM weighed WHERE sureness IS NOT NULL").fetchall())

    def weigh(self, labels: Mapping[int, Consensus], sureness: Mapping[int, float | None]) -> None:
        """Take in what the answers of several people amount to once they are weighed, and how sure that is, by task."""
        rows = [(one.state, one.label, one.trouble, one.remark, task) for task, one in labels.items()]
        with self._file.writing() as db:
            db.executemany("UPDATE tasks SET state = ?, label = ?, trouble = ?, remark = ? WHERE task = ?", rows)
            db.execute("DELETE FROM weighed")
            db.executemany("INSERT INTO weighed VALUES (?, ?)", list(sureness.items()))

    def half_labelled(self, more_than: int = 0) -> list[int]:
        """Tasks that somebody has answered and Label Studio still asks others about, of those for which it wants more people
        than `more_than`."""
        return self._tasks(
            "SELECT DISTINCT task FROM answers JOIN overlaps USING (task) WHERE NOT skipped AND is_open AND wanted > ?",
            more_than,
        )

    def disputed(self) -> list[int]:
        """Tasks of which not all answers name the same class; some of these may be by one person."""
        return self._tasks("SELECT task FROM answers WHERE choice IS NOT NULL GROUP BY task HAVING min(choice) < max(choice)")

    def pace(self) -> float | None:
        """The median of the seconds that the last LAST labels took whoever gave them; None where nobody's time is known."""
        statement = "SELECT seconds FROM answers WHERE seconds > 0 AND NOT skipped ORDER BY rowid DESC LIMIT ?"
        with self._file.reading() as db:
            seconds = [row[0] for row in db.execute(statement, (LAST,))]
        return median(seconds) if seconds else None

    def _tasks(self, statement: str, *values: int) -> list[int]:
        with self._file.reading() as db:
            return sorted(task for (task,) in db.execute(statement, values))

    def _read(self, where: str, values: tuple[Any, ...]) -> list[Answer]:
        statement = f"""SELECT task, person, choice, truth, skipped, made, seconds FROM answers {where}
            ORDER BY task, number"""  # noqa: S608  constants
        with self._file.reading() as db:
            return [Answer._make(row) for row in db.execute(statement, values)]


def take_in(db: sqlite3.Connection, tasks: Iterable[tuple[int, dict[str, Any]]], target: Target) -> None:
    """Keep who said what of `tasks`, each with its id and as Label Studio lists it, in place of what was known of them. What is
    as it was is not written: the newest tasks are listed again each time."""
    overlaps, known = [], dict(tasks)
    for task, listed in known.items():
        annotations = enumerate(annotations_of(listed.get("annotations")))
        answers = [(task, number, *_values(annotation, target)) for number, annotation in annotations]
        if not _are_known(db, task, answers):
            _delete(db, ("answers", "weighed"), [(task,)])
            db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)", answers)
        if wanted := _number(listed.get("overlap")):
            overlaps.append((task, wanted, not is_true(listed.get("is_labeled"))))
    _delete(db, ("overlaps",), [(task,) for task in known.keys() - {task for task, *_ in overlaps}])
    db.executemany(
        """INSERT INTO overlaps VALUES (?, ?, ?) ON CONFLICT (task) DO UPDATE SET wanted = excluded.wanted,
        is_open = excluded.is_open WHERE (wanted, is_open) IS NOT (excluded.wanted, excluded.is_open)""",
        overlaps,
    )


def _are_known(db: sqlite3.Connection, task: int, answers: list[tuple[Any, ...]]) -> bool:
    """Whether these are the answers that were known. Several count as new: their label is weighed anew, since the majority
    takes its place for now."""
    return len(answers) < 2 and db.execute("SELECT * FROM answers WHERE task = ?", (task,)).fetchall() == answers


def forget(db: sqlite3.Connection, tasks: list[tuple[int]]) -> None:
    """Drop what was said of `tasks`."""
    _delete(db, TABLES, tasks)


def _delete(db: sqlite3.Connection, tables: Iterable[str], tasks: list[tuple[int]]) -> None:
    for table in tables:
        db.executemany(f"DELETE FROM {table} WHERE task = ?", tasks)  # noqa: S608  constants


def _values(annotation: Any, target: Target) -> tuple[Any, ...]:
    """A row of the table `answers`, from `person` to `seconds`; whatever JSON can hold is taken."""
    if not isinstance(annotation, dict):
        return None, None, False, False, "", None
    by, seconds, made = annotation.get("completed_by"), annotation.get("lead_time"), annotation.get("created_at")
    person = _number(by.get("id") if isinstance(by, dict) else by)
    skipped = is_true(annotation.get("was_cancelled"))
    choice = None if skipped else answered(annotation, target).choice
    took = float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= LONGEST_SECONDS else None
    text = made[:40] if isinstance(made, str) and made.isascii() else ""
    return person, choice, is_true(annotation.get("ground_truth")), skipped, text, took


def _number(value: Any) -> int | None:
    """A whole number above 0 that Label Studio may use, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST else None
