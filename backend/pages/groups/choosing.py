"""Which group a person gets next: one that was undone or could not be written, then the store's, as far as they are still to be
labelled."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from backend.index.index import UNLABELLED, Row
from backend.learning.slots import SEED
from backend.pages.groups.decisions import Decisions
from backend.pages.groups.holds import LEAST, Holds
from backend.pages.kept import Kept
from backend.records.groups import Group, Groups
from strategies.arrays.hashing import uniform_hash


@dataclass(frozen=True)
class Offer:
    """A group as it is shown. tasks: those of it that can be labelled now; guess: the head's class, "" where it has none;
    confidences: that a task is of it, where that is known."""

    group: Group
    tasks: list[int]
    guess: str
    confidences: dict[int, float]


class Chooser:
    """Chooses among the `groups` for `person`, from what is `known` of the project."""

    def __init__(self, known: Kept, groups: Groups, holds: Holds, decisions: Decisions, person: int, explore: float) -> None:
        self._known = known
        self._groups = groups
        self._holds = holds
        self._decisions = decisions
        self._person = person
        self._explore = explore

    @cached_property
    def _slots(self) -> set[int]:
        """The random slots of the queue."""
        queue = self._known.index.published.queue(self._known.live.name, self._known.index.count())
        return {row.task for row, _, is_slot in queue if is_slot}

    def is_drawn(self, task: int) -> bool:
        """Whether a task is a random slot, now or once there are more labels: whoever labels one may see no guess, and so none
        is in a group. Slots go to tasks in the order of their hashes, to a share EXPLORE of all in the end."""
        return task in self._slots or float(uniform_hash(np.array([task], np.int64), SEED)[0]) < self._explore

    def take(self, view: str) -> Offer | None:
        """The next group, whose images are this person's from now on, for the page `view`; None where there is none."""
        for group, tasks, least in self._in_order():
            mine = self._holds.take(tasks, self._person, view, least)
            if len(mine) >= least:
                return self._shown(group, mine)
        return None

    def after(self, offer: Offer) -> list[int]:
        """The images of the group that would come after `offer`, if nobody takes it: nothing is taken here."""
        for group, tasks, least in self._in_order():
            free = self._holds.free([task for task in tasks if task not in offer.tasks], self._person)
            if group.name != offer.group.name and len(free) >= least:
                return free
        return []

    def usable(self, tasks: list[int] | tuple[int, ...]) -> list[int]:
        """Those of `tasks` that have no label yet, as far as is known here, and are no random slots."""
        rows = (self._known.index.row(task) for task in tasks)
        return [row.task for row in rows if row and row.state == UNLABELLED and not self.is_drawn(row.task)]

    def by_guess(self, tasks: list[int], most: int) -> list[list[int]]:
        """`tasks` in parts of at most `most`, each of images to which the head gives the same class."""
        rows = [row for task in tasks if (row := self._known.index.row(task))]
        classes = self._probabilities(rows).argmax(axis=1).tolist()
        order = sorted(zip(classes, rows, strict=True), key=lambda entry: entry[0])
        parts: list[list[int]] = []
        for _, alike in groupby(order, key=lambda entry: entry[0]):
            same = [row.task for _, row in alike]
            parts += [same[start : start + most] for start in range(0, len(same), most)]
        return parts

    def _in_order(self) -> Iterator[tuple[Group, list[int], int]]:
        """Groups in their order, each with those of its tasks that may be shown, and how many of these are worth a group."""
        for group in self._decisions.again():  # the index may know labels of these that are taken back at the moment
            yield group, [task for task in group.tasks if not self.is_drawn(task)], 1
        skipped = self._decisions.skipped()
        for group in self._groups.read(self._known.live.name):
            if 2 * len(skipped.intersection(group.tasks)) < len(group.tasks):
                yield group, self.usable(group.tasks), LEAST

    def _shown(self, group: Group, tasks: list[int]) -> Offer:
        if group.label in self._known.live.classes:
            known = dict(zip(group.tasks, group.confidences, strict=False))
            return Offer(group, tasks, group.label, {task: known[task] for task in tasks if task in known})
        return Offer(group, tasks, *self._guess(tasks))

    def _guess(self, tasks: list[int]) -> tuple[str, dict[int, float]]:
        """The class that the head gives most of `tasks`' probability, and how much of each."""
        rows = [row for task in tasks if (row := self._known.index.row(task))]
        probabilities = self._probabilities(rows)
        if not probabilities.any():
            return "", {}
        best = int(probabilities.sum(axis=0).argmax())
        sure = zip((row.task for row in rows), probabilities[:, best].tolist(), strict=True)
        return self._known.live.classes[best], {task: confidence for task, confidence in sure if confidence}

    def _probabilities(self, rows: list[Row]) -> NDArray[np.float32]:
        """The head's for each of `rows`, of shape (n, C); 0 for images without an embedding, and where it cannot tell."""
        head = self._known.live.head
        values, found = self._known.store.get([row.key for row in rows])
        probabilities = np.zeros((len(rows), len(self._known.live.classes)), np.float32)
        if head and head.separates and found.any():
            probabilities[found] = head.probabilities(values[found])
        return probabilities
