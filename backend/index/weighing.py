"""What several people's answers amount to once they are weighed, in place of what most of them say.

A task's answers alone give the majority (`consensus`); how much each person's word is worth is told by all answers of the
project, and by what the head sees (`backend/learning/weighing.py`). So this comes after the index has taken in what changed.
What comes of it is a function of the answers and the embeddings: nothing is remembered but the result.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from backend.index.agreement import last_by_each
from backend.index.answers import Answer, Wanted
from backend.index.consensus import LABELLED, TIE, TIED, UNUSABLE, Consensus
from backend.index.index import Index
from backend.labelstudio.labelling_config import Target
from backend.learning.weighing import DOUBTFUL, SURE, Weighed, majority, weigh
from model.embeddings.embedding_store import EmbeddingStore
from model.heads.dawid_skene import Answers

RIGHT = "right"  # the index's note of how often each person is right


class Told(NamedTuple):
    """Of one task the answers that count, one a person, and the classes that are said to be its ground truth."""

    answers: list[Answer]
    truths: set[str]


def weigh_answers(index: Index, store: EmbeddingStore, target: Target, again: bool = False, single: bool = False) -> bool:
    """Weigh the answers in `index` where several people have answered the same tasks; returns whether it was done.

    Only where some of these have not been weighed, unless `again`, which learns from what is embedded by now. single: also
    where one person has answered each, to know whom to ask again about. Sets of classes are left to the majority. Raises
    IndexUnavailable.
    """
    several = index.answers.several()
    if target.SEVERAL or not (several or (single and again)) or not (again or index.answers.several(fresh=True)):
        return False
    told = _told(index.answers.all(), target.classes)
    tasks = list(told)
    answers, people = _numbered(told, target.classes)
    known = [target.classes.index(min(one.truths)) if len(one.truths) == 1 else -1 for one in told.values()]
    store.refresh()
    embeddings, seen = store.get(index.tasks.keys(tasks))
    came = weigh(answers, embeddings.astype(np.float32), np.array(known, np.int64), seen)
    if came is None:
        index.answers.weigh({}, dict.fromkeys(several))
        return True
    tied = majority(answers) < 0
    undecided = set(several) & {task for task, one in told.items() if not one.truths}
    labels = {task: _outcome(came, row, bool(tied[row]), target) for row, task in enumerate(tasks) if task in undecided}
    index.answers.weigh(labels, dict.fromkeys(several) | dict(zip(tasks, came.sureness.tolist(), strict=True)))
    index.set_note(RIGHT, json.dumps(dict(zip(map(str, people), came.right.tolist(), strict=True))))
    return True


def people_right(index: Index) -> dict[int, float]:
    """How often each person is right, as the last weighing has it, by their id; empty where nothing was weighed."""
    noted = json.loads(index.note(RIGHT) or "{}")
    return {int(person): share for person, share in noted.items() if person != "None"}


def _outcome(came: Weighed, row: int, tied: bool, target: Target) -> Consensus:
    if tied and came.sureness[row] < SURE:
        return Consensus(UNUSABLE, None, TIE, TIED)
    return Consensus(LABELLED, target.classes[came.labels[row]])


def _told(answers: Sequence[Answer], classes: Sequence[str]) -> dict[int, Told]:
    """By task, those that somebody has named one of `classes` for."""
    by_task: dict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.choice in classes:
            by_task[answer.task].append(answer)
    return {
        task: Told(last_by_each(said), {answer.choice for answer in said if answer.truth and answer.choice})
        for task, said in by_task.items()
    }


def _numbered(told: Mapping[int, Told], classes: Sequence[str]) -> tuple[Answers, list[int | None]]:
    """The answers with tasks, people and classes as numbers, and who the people are. Those of whom Label Studio does not say
    who they are count as one."""
    said = [(row, answer) for row, one in enumerate(told.values()) for answer in one.answers]
    people = sorted({answer.person for _, answer in said}, key=lambda person: (person is None, person or 0))
    number = {person: place for place, person in enumerate(people)}
    of_class = {name: place for place, name in enumerate(classes)}
    arrays = (
        [row for row, _ in said],
        [number[answer.person] for _, answer in said],
        [of_class[answer.choice or ""] for _, answer in said],
    )
    images, persons, choices = (np.array(values, np.int64) for values in arrays)
    return Answers(images, persons, choices, len(told), len(people), len(classes)), people


def doubtful_tasks(index: Index, usual: int) -> list[Wanted]:
    """Tasks that one person alone has answered and whose label is more likely wrong than right, the least probable first, as
    far as Label Studio asks nobody else about them and no more than `usual` people are wanted. Ground truth is not in doubt."""
    unsure = sorted((sure, task) for task, sure in index.answers.sureness().items() if sure < DOUBTFUL)
    doubtful = []
    for _, task in unsure:
        given = [answer for answer in index.answers.of(task) if not answer.skipped]
        once = len({answer.person for answer in given}) == 1 and not any(answer.truth for answer in given)
        wanted = index.answers.wanted(task)
        if once and wanted and not wanted.is_open and wanted.people <= usual:
            doubtful.append(wanted)
    return doubtful
