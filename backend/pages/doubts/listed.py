"""Which labels to look at again, from what is kept: what the live version doubts, and what people disagree about."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from backend.project.agreement import agreement, last_by_each
from backend.project.answers import Answer, Wanted
from backend.project.doubts import Doubt, Found, Right, read_found
from backend.project.index import Index

SHOWN = 24  # of each kind


@dataclass(frozen=True)
class Entry:
    """A task to look at again. label: what it counts as, "" where its votes are tied; said: what each person says; asked:
    whether one person more is asked already; doubt: what the model says, None where only people disagree."""

    task: int
    label: str
    said: list[Answer]
    asked: bool
    doubt: Doubt | None = None


@dataclass(frozen=True)
class Listed:
    """found: what the live version doubts, None where that is not known; doubts, disagreements: those shown, of so many."""

    found: Found | None
    doubts: list[Entry]
    doubts_in_all: int
    disagreements: list[Entry]
    disagreements_in_all: int


def look(index: Index, folder: Path, live: str, asked: Collection[int] = ()) -> Listed:
    """What is in doubt in the project in `folder` while the queue follows `live`. Ground truth never is, and what was found
    right is not until it is labelled otherwise.

    asked: tasks that one person more was asked about a moment ago, which the index does not say yet. Raises IndexUnavailable.
    """
    answers, wanted = index.answers.all(), index.answers.wanted()
    labels = {row.task: row.label or "" for row in index.rows()}
    truths = {answer.task for answer in answers if answer.truth}
    right = Right(folder).labels()
    settled = truths | {task for task, label in right.items() if labels.get(task) == label}
    by_task: dict[int, list[Answer]] = {}
    for answer in answers:
        by_task.setdefault(answer.task, []).append(answer)

    def entry(task: int, doubt: Doubt | None = None) -> Entry:
        said = [answer for answer in last_by_each(by_task.get(task, [])) if not answer.skipped]
        return Entry(task, labels.get(task, ""), said, task in asked or _is_asked(wanted.get(task)), doubt)

    found = read_found(folder / "versions" / live) if live else None
    doubted = [d for d in found.doubts if labels.get(d.task) == d.label and d.task not in settled] if found else []
    classes = sorted({answer.choice for answer in answers if answer.choice is not None})
    disputed = [task for task in agreement(answers, classes).disagreements if task in labels and task not in settled]
    disputed.sort(key=lambda task: labels[task] != "")  # ties first
    return Listed(
        found,
        [entry(d.task, d) for d in doubted[:SHOWN]],
        len(doubted),
        [entry(task) for task in disputed[:SHOWN]],
        len(disputed),
    )


def _is_asked(wanted: Wanted | None) -> bool:
    return wanted is not None and wanted.is_open
