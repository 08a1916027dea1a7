"""A person's time at work: one by one as the queue has it, or with groups of look-alikes, and what is learned meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.learning.groups import LookAlikes, find_groups
from backend.learning.random_sample import RandomSample
from backend.learning.rounds import Ranking, Rules, rank
from backend.simulate.curves import head_of, sample_of, state
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Rows, draw
from backend.simulate.person import Person
from backend.simulate.protocol import QUEUE, Method, Protocol
from model.measuring.metrics import macro_f1

FIRST = 40  # labels one by one before the first grid: a head that has seen fewer takes too many odd ones for look-alikes
SCREENS = 2  # grids from one round to the next
BATCH = 10  # labels one by one from one round to the next


@dataclass(frozen=True)
class Walk:
    """What came of it.

    seconds, labels, wrong, macro_f1: at the end of each of r rounds, how long the person has worked, how many labels there are,
    how many of these are wrong, and F1 on the test images. in_grids, grid_seconds: labels that came from grids, and the time
    that these took; shown, odd: images in them, and those that did not belong.
    """

    seconds: list[float]
    labels: list[int]
    wrong: list[int]
    macro_f1: list[float]
    in_grids: int
    grid_seconds: float
    shown: int
    odd: int

    def at(self, seconds: float) -> int:
        """The last round that had ended by then; the first where none had."""
        return max(int(np.searchsorted(self.seconds, seconds, side="right")) - 1, 0)


def walk(
    images: Dataset,
    protocol: Protocol,
    method: Method,
    person: Person,
    seconds: float,
    groups: bool,
    seed: int,
    report: Callable[[], None] = lambda: None,
) -> Walk:
    """`person` labels the pool that `seed` draws by `method` for so long, or until all is labelled: one by one, or with
    `groups` once FIRST are labelled. Random slots are labelled one by one either way; so are, next, the odd ones taken out of
    a grid."""
    desk = _Desk(images, protocol, method, person, seed)
    while desk.seconds < seconds and len(desk.picked) < len(desk.drawn.pool):
        ranking = desk.round()
        report()
        found = desk.groups(ranking) if groups and len(desk.picked) >= FIRST else []
        for group in found[:SCREENS]:
            desk.label_grid(group)
        if found:
            desk.label_slots()
        else:
            desk.label(desk.drawn.rows(ranking.tasks[:BATCH]))
    desk.round()
    return desk.so_far


class _Desk:
    """What the person has before them, and what they have done."""

    def __init__(self, images: Dataset, protocol: Protocol, method: Method, person: Person, seed: int) -> None:
        self.images, self.method, self.person, self.seed = images, method, person, seed
        self.drawn = draw(images, protocol, seed)
        self.random = np.random.default_rng([seed, 4])
        self.picked: Rows = np.zeros(0, np.int64)
        self.said = np.full(len(images.labels), -1)
        self.seconds = 0.0
        self.so_far = Walk([], [], [], [], 0, 0.0, 0, 0)
        self.sample: RandomSample | None = None

    def round(self) -> Ranking:
        """Learn from the labels so far, judge, and rank what is left."""
        method, images, drawn = self.method, self.images, self.drawn
        self.sample = sample_of(drawn, self.picked, method.explore, self.sample)
        labelled, self.pool = state(images, drawn, self.picked, self.sample)
        labelled = replace(labelled, labels=self.said[self.picked])
        self.head = head_of(method.head, labelled, self.pool, len(images.classes), self.seed)
        self._judge()
        rules = Rules(method.strategy, min(QUEUE * BATCH, len(self.pool.tasks)), method.explore, BATCH)
        return rank(self.head, self.pool, labelled, rules, f"al-{len(self.picked)}-{self.seed}")

    def _judge(self) -> None:
        """Add a point to what came of it so far."""
        f1 = 0.0
        if self.head:
            guesses = self.head.probabilities(self.images.embeddings[self.drawn.test].astype(np.float32)).argmax(axis=1)
            f1 = macro_f1(guesses, self.images.labels[self.drawn.test], len(self.images.classes))
        self.so_far.seconds.append(self.seconds)
        self.so_far.labels.append(len(self.picked))
        self.so_far.wrong.append(int((self.said[self.picked] != self.images.labels[self.picked]).sum()))
        self.so_far.macro_f1.append(f1)

    def groups(self, ranking: Ranking) -> list[LookAlikes]:
        """The groups that this round leaves."""
        none: NDArray[np.int64] = np.zeros(0, np.int64)
        return find_groups(self.head, self.pool, ranking, len(self.drawn.pool), self.method.explore, none)

    def label(self, rows: Rows) -> None:
        """One by one, never wrong."""
        self._say(rows, self.images.labels[rows])
        self.seconds += self.person.one_by_one * len(rows)

    def label_grid(self, group: LookAlikes) -> None:
        """Take out the odd ones that are seen, label the others, and then those one by one."""
        rows = self.drawn.rows(group.tasks)
        odd = self.images.labels[rows] != group.label
        out = odd & (self.random.random(len(rows)) >= self.person.overlooked)
        self._say(rows[~out], np.full((~out).sum(), group.label))
        took = self.person.of_grid(len(rows), int(out.sum()))
        self.seconds += took
        before = self.so_far
        self.so_far = replace(
            before,
            in_grids=before.in_grids + int((~out).sum()),
            grid_seconds=before.grid_seconds + took,
            shown=before.shown + len(rows),
            odd=before.odd + int(odd.sum()),
        )
        self.label(rows[out])

    def label_slots(self) -> None:
        """The random slots that are due by now, in their order."""
        while True:
            self.sample = sample_of(self.drawn, self.picked, self.method.explore, self.sample)
            opened = ~np.isin(self.drawn.pool, self.picked)
            due = opened & (self.sample.turns <= self.method.explore * len(self.picked) + 1e-9)
            if not due.any():
                return
            self.label(self.drawn.pool[due])

    def _say(self, rows: Rows, labels: NDArray[np.int64] | Sequence[int]) -> None:
        self.said[rows] = labels
        self.picked = np.concatenate([self.picked, rows])
