"""Labelling by people who err, round after round: what the labels are by then, and what a head learns from them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from backend.learning.random_sample import RandomSample
from backend.learning.rounds import Labelled, Rules, rank
from backend.learning.weighing import AT_MOST, DOUBTFUL, SURE, majority, weigh
from backend.simulate.crowd.people import OTHERS, Crowd
from backend.simulate.curves import head_of, sample_of, state
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Rows, draw
from backend.simulate.protocol import QUEUE, Method, Protocol
from model.heads.dawid_skene import Answers
from model.heads.head import Head
from model.measuring.metrics import macro_f1

TRUE, ONCE, MAJORITY, WEIGHED, AGAIN = "without errors", "asked once", "majority", "weighed", "asked again"  # ways to label


@dataclass(frozen=True)
class Labelling:
    """What came of it.

    answers, macro_f1, wrong, without: at the end of each of r rounds the answers given, macro F1 on the test images, and the
    shares of images with answers whose label is wrong or that have none; sure: of the labels of the last round how sure each is
    said to be, and whether it is right; each: how many images have answers, after each round.
    """

    answers: list[int] = field(default_factory=list)
    macro_f1: list[float] = field(default_factory=list)
    wrong: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)
    sure: list[tuple[float, bool]] = field(default_factory=list)
    each: list[int] = field(default_factory=list)

    @property
    def images(self) -> int:
        """How many images have answers at the end."""
        return self.each[-1]

    def at(self, answers: int) -> float:
        """Macro F1 after so many answers, between rounds by a line."""
        return float(np.interp(answers, self.answers, self.macro_f1))


def label(
    images: Dataset,
    protocol: Protocol,
    method: Method,
    crowd: Crowd,
    way: str,
    seed: int,
    report: Callable[[], None] = lambda: None,
) -> Labelling:
    """People of `crowd` answer images of the pool that `seed` draws, one of the ways above, by `method`, until there are as
    many answers as `protocol` has labels."""
    desk = _Desk(images, protocol, method, crowd, way, seed)
    end = protocol.start + protocol.batch * protocol.rounds
    while True:
        ranking, answers = desk.round(protocol.batch), sum(desk.given.values())
        report()
        if answers >= end or not len(ranking):
            return desk.so_far
        desk.answer(ranking, min(protocol.batch, end - answers) if answers else protocol.start)


class _Desk:
    """Whom an image was given to, what they said, and what is learned from it."""

    def __init__(self, images: Dataset, protocol: Protocol, method: Method, crowd: Crowd, way: str, seed: int) -> None:
        self.images, self.method, self.crowd, self.way, self.seed = images, method, crowd, way, seed
        self.drawn = draw(images, protocol, seed)
        self.order, self.said = crowd.answers(images.labels, len(images.classes), seed)
        self.each = 1 if way in (TRUE, ONCE) else crowd.each
        self.given: dict[int, int] = {}  # how many answers each row has, in the order of the first
        self.asked: list[int] = []  # rows about which somebody else is asked next
        self.so_far = Labelling()
        self.sample: RandomSample | None = None

    def answers(self, picked: Rows) -> Answers:
        """What was said of the rows `picked`, which are numbered in their order."""
        number = np.array([self.given[row] for row in picked.tolist()], np.int64)
        images = np.repeat(np.arange(len(picked)), number)
        turn = np.arange(len(images)) - np.repeat(np.cumsum(number) - number, number)
        rows = picked[images]
        said = self.images.labels[rows] if self.way == TRUE else self.said[rows, turn]
        classes = len(self.images.classes)
        return Answers(images, self.order[rows, turn], said, len(picked), self.crowd.people, classes)

    def round(self, batch: int) -> Rows:
        """Learn from the answers so far, judge, find whom else to ask, and rank what is left: rows, first to label first."""
        method, images, drawn = self.method, self.images, self.drawn
        picked = np.array(list(self.given), np.int64)
        self.sample = sample_of(drawn, picked, method.explore, self.sample)
        labelled, pool = state(images, drawn, picked, self.sample)
        labels = self._labels(labelled, picked)
        known = labels >= 0
        taught = replace(labelled, labels=labels).only(known)
        head = head_of(method.head, taught, pool, len(images.classes), self.seed)
        self._judge(head, labels, picked)
        rules = Rules(method.strategy, min(QUEUE * batch, len(pool.tasks)), method.explore, batch)
        return drawn.rows(rank(head, pool, taught, rules, f"al-{len(picked)}-{self.seed}").tasks)

    def answer(self, ranking: Rows, budget: int) -> None:
        """Give `budget` answers: first about rows in doubt, then about new ones, `each` to a row."""
        asked = self.asked[: int(AT_MOST * budget) if self.way == AGAIN else budget]
        for row in asked:
            self.given[row] += 1
        left = budget - len(asked)
        for row in ranking[: -(-left // self.each)].tolist():
            self.given[row] = self.each

    def _labels(self, labelled: Labelled, picked: Rows) -> NDArray[np.int64]:
        """The label of each row of `picked`, -1 for none; notes about which somebody else is asked."""
        answers, counts = self.answers(picked), np.array(list(self.given.values()), np.int64)
        most = majority(answers)
        more = counts < self.each + OTHERS
        self.asked = []
        if not len(picked) or self.way in (TRUE, ONCE):
            return most
        if self.way == MAJORITY:
            self.asked = picked[(most < 0) & more].tolist()
            return most
        weighed = weigh(answers, labelled.embeddings, seed=self.seed)
        if weighed is None:
            return most
        right = weighed.labels == self.images.labels[picked]
        self.so_far.sure[:] = list(zip(weighed.sureness.tolist(), right.tolist(), strict=True))
        unsure = (most < 0) & (weighed.sureness < SURE)
        asked = unsure & more
        if self.way == AGAIN:
            asked |= (weighed.sureness < DOUBTFUL) & more
            order = np.argsort(weighed.sureness)
            self.asked = picked[order[asked[order]]].tolist()
        else:
            self.asked = picked[asked].tolist()
        return np.where(unsure, -1, weighed.labels)

    def _judge(self, head: Head | None, labels: NDArray[np.int64], picked: Rows) -> None:
        """Add a point to what came of it so far."""
        f1 = 0.0
        if head:
            guesses = head.probabilities(self.images.embeddings[self.drawn.test].astype(np.float32)).argmax(axis=1)
            f1 = macro_f1(guesses, self.images.labels[self.drawn.test], len(self.images.classes))
        n = max(len(picked), 1)
        self.so_far.each.append(len(picked))
        self.so_far.answers.append(sum(self.given.values()))
        self.so_far.macro_f1.append(f1)
        self.so_far.wrong.append(float(((labels != self.images.labels[picked]) & (labels >= 0)).sum() / n))
        self.so_far.without.append(float((labels < 0).sum() / n))
