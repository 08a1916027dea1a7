"""How annotators of a project agree: with each other, and each with what all the others say of the same images."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from backend.index.answers import Answer
from model.measuring.agreement import Alpha, krippendorff, share_interval


@dataclass(frozen=True)
class Annotator:
    """What one person has done. person: the id in Label Studio, None where it does not say; labels, skips: how many tasks.

    compared: tasks of which the others say one thing; agreed: of these, those of which this person says the same; seconds: the
    median for a label, None where it was not measured.
    """

    person: int | None
    labels: int
    skips: int
    compared: int
    agreed: int
    seconds: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, of the share of `compared` that agrees; None where nothing was compared."""
        return share_interval(self.agreed, self.compared) if self.compared else None


@dataclass(frozen=True)
class Agreement:
    """alpha: Krippendorff's, None where nothing was answered twice, or all with one class; disagreements: tasks of which people
    say different things, with what each says."""

    alpha: Alpha | None
    annotators: list[Annotator]
    disagreements: dict[int, list[Answer]]


@dataclass
class _Tally:
    labels: int = 0
    skips: int = 0
    compared: int = 0
    agreed: int = 0
    seconds: list[float] = field(default_factory=list)


def agreement(answers: Iterable[Answer], classes: Sequence[str]) -> Agreement:
    """Of all `answers` of a project. Of several by one person to one task the last one counts."""
    by_task: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_task[answer.task].append(answer)
    numbers, tallies = {name: number for number, name in enumerate(classes)}, defaultdict[int | None, _Tally](_Tally)
    counts, disagreements = [], {}
    for task, of_task in by_task.items():
        said = last_by_each(of_task)
        votes = [answer for answer in said if answer.choice in numbers]
        for answer in said:
            _count(tallies[answer.person], answer, votes)
        counts.append(np.bincount([numbers[answer.choice or ""] for answer in votes], minlength=len(classes)))
        if len({answer.choice for answer in votes}) > 1:
            disagreements[task] = votes
    alpha = krippendorff(np.array(counts, np.int64).reshape(-1, len(classes)))
    people = [
        Annotator(person, t.labels, t.skips, t.compared, t.agreed, median(t.seconds) if t.seconds else None)
        for person, t in tallies.items()
    ]
    return Agreement(alpha, sorted(people, key=lambda one: (-one.labels, one.person or 0)), disagreements)


def last_by_each(answers: list[Answer]) -> list[Answer]:
    """Of one task's answers the last of each person; all of those of whom Label Studio does not say who they are."""
    named: dict[int, Answer] = {}
    for answer in sorted(answers, key=lambda answer: answer.made):
        if answer.person is not None:
            named[answer.person] = answer
    return [answer for answer in answers if answer.person is None] + list(named.values())


def _count(tally: _Tally, answer: Answer, votes: list[Answer]) -> None:
    """Add one answer to its person's tally. votes: all of that task that name a class."""
    if answer.skipped:
        tally.skips += 1
        return
    tally.labels += 1
    if answer.seconds is not None:
        tally.seconds.append(answer.seconds)
    others = [vote for vote in votes if vote is not answer]
    truth = [vote for vote in others if vote.truth]
    said = Counter(vote.choice for vote in truth or others).most_common(2)
    if answer in votes and said and (len(said) == 1 or said[0][1] > said[1][1]):
        tally.compared += 1
        tally.agreed += answer.choice == said[0][0]
