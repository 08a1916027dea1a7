"""Which labels to look at again, from what is kept: what the live version doubts, and what people disagree about."""

from collections.abc import Collection
from dataclasses import dataclass

from backend.index.agreement import last_by_each
from backend.index.answers import Answer
from backend.index.index import Index
from backend.records.doubts import Doubt, Found, Right, latest_found
from model.storage.documents import Documents

SHOWN = 24  # of each kind


@dataclass(frozen=True)
class Entry:
    """A task to look at again. label: what it counts as, "" where its votes are tied; said: what each person says; asked:
    whether one person more is asked already; doubt: what the model says, None where only people disagree; sureness: how
    probable the label is once answers are weighed, None where they are not."""

    task: int
    label: str
    said: list[Answer]
    asked: bool
    doubt: Doubt | None = None
    sureness: float | None = None


@dataclass(frozen=True)
class Listed:
    """found: what the live version doubts, or the last one that was looked through, None before the first; doubts,
    disagreements: those shown, of so many."""

    found: Found | None
    doubts: list[Entry]
    doubts_in_all: int
    disagreements: list[Entry]
    disagreements_in_all: int


def look(index: Index, documents: Documents, live: str, asked: Collection[int] = ()) -> Listed:
    """What is in doubt in the project of these `documents` while the queue follows `live`. Ground truth never is, and what was
    found right is not until it is labelled otherwise.

    asked: tasks that one person more was asked about a moment ago, which the index does not say yet. Raises IndexUnavailable.
    """
    found = latest_found(documents, live) if live else None
    disputed = index.answers.disputed()
    doubted = [doubt.task for doubt in found.doubts] if found else []
    rows = {task: row for task in [*disputed, *doubted] if (row := index.row(task))}
    said = {task: index.answers.of(task) for task in rows}
    right, sureness = Right(documents).labels(), index.answers.sureness()

    def is_settled(task: int) -> bool:
        return any(answer.truth for answer in said[task]) or (task in right and right[task] == rows[task].label)

    def entry(task: int, doubt: Doubt | None = None) -> Entry:
        wanted = index.answers.wanted(task)
        given = [answer for answer in last_by_each(said[task]) if not answer.skipped]
        open_still = task in asked or (wanted is not None and wanted.is_open)
        return Entry(task, rows[task].label or "", given, open_still, doubt, sureness.get(task))

    doubts = found.doubts if found else []
    doubts = [d for d in doubts if d.task in rows and rows[d.task].label == d.label and not is_settled(d.task)]
    disputed = [task for task in disputed if task in rows and not is_settled(task) and _differ(said[task])]
    disputed.sort(key=lambda task: rows[task].label is not None)  # ties first
    return Listed(
        found,
        [entry(d.task, d) for d in doubts[:SHOWN]],
        len(doubts),
        [entry(task) for task in disputed[:SHOWN]],
        len(disputed),
    )


def _differ(said: list[Answer]) -> bool:
    """Whether people say different things, and not one person after the other."""
    return len({answer.choice for answer in last_by_each(said) if answer.choice is not None}) > 1
