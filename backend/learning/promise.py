"""Which images the head may label itself, with a promise: at most a share `error` of what is accepted is wrong, with 95 %
confidence.

The promise is about a finite set of images, the *candidates*, and about one head that is frozen. Nobody assumes that its
confidences are right, or that the images are independent of each other: people check candidates that are drawn uniformly,
without replacement, and how many of the set are wrong is bounded at every moment (`bounds.py`). So nothing has to be paid for
looking twice, for asking again, or for another `error`.

Some images are harder than others. The head's order by confidence gives nested sets of the surest candidates, RUNGS; each has
a bound of its own, from the checks that lie in it, which are a uniform sample of it. Their parts of alpha add up to alpha, so
all hold at once, and the largest set that keeps the promise is taken.

What people said of an image is known. Checked images, and others that were labelled meanwhile, leave the set together with the
wrong ones among them: the promise is about the labels that nobody looked at. No Label Studio, no disk in here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.learning.bounds import at_most, excluded, most_wrong

ALPHA = 0.05  # the chance that a promise may be broken
ERROR = 0.02
RUNGS = ((1.0, 0.8), (0.5, 0.2))  # the shares of the candidates that are tried, and the part of alpha that each gets
PARTS = 40  # of a population, whole numbers of which are tried as candidates
LEAST = 0.003  # share of wrong ones that is expected at least, however sure the head is of itself
CAUTION = 1.5  # wrong ones for each that the confidences expect, in plans: a head seldom knows how wrong it is
MOST = 2000  # checks that a plan asks for at once, at most
COST = 0.5  # of a check, in images accepted: whoever checks an image has labelled it as well
TRIED = 300  # numbers of checks that a plan tries, a few percent apart
UNLUCKY = 30  # wrong ones more that a plan allows for, at most
RATHER, LIKELY = 0.5, 0.9  # chances from which on a plan asks for no more checks, and looks no further
Tasks = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Population:
    """N images without a label, as the frozen head sees them. tasks: int64 (N,); guesses: int64 (N,), the class of each;
    confidences: float32 (N,), the probability of that class."""

    tasks: Tasks
    guesses: NDArray[np.int64]
    confidences: NDArray[np.float32]

    def only(self, rows: NDArray[np.int64] | Bools) -> "Population":
        """The part of it in `rows`, in their order."""
        return Population(self.tasks[rows], self.guesses[rows], self.confidences[rows])

    def surest(self, size: int) -> "Population":
        """The `size` images that the head is surest of, surest first; of equals the lowest task ids."""
        return self.only(np.lexsort((self.tasks, -self.confidences))[:size])


@dataclass(frozen=True)
class Checks:
    """What people said of n images. tasks: int64 (n,), none of them twice; right: bool (n,), whether it is what the frozen
    head had guessed. An image that was skipped, or is of no use, counts as wrong."""

    tasks: Tasks
    right: Bools

    def among(self, population: Population) -> "Checks":
        """Those of images of `population`."""
        return self.only(np.isin(self.tasks, population.tasks))

    def only(self, rows: Bools) -> "Checks":
        """Those in `rows`."""
        return Checks(self.tasks[rows], self.right[rows])


NOTHING = Checks(np.zeros(0, np.int64), np.zeros(0, bool))


@dataclass(frozen=True)
class Step:
    """About so many more `checks` allow so many `images`, with about this `chance`."""

    checks: int
    images: int
    chance: float

    def worth(self, accepted: int = 0) -> float:
        """How many images more than `accepted` it is expected to bring, less what the checks cost."""
        return self.chance * (self.images - accepted) - COST * self.checks


@dataclass(frozen=True)
class Decision:
    """tasks: int64 (k,), the images that may be accepted, which nobody has labelled; threshold: the least confidence among
    them; bound: an upper bound of the share of wrong ones among them; expected: the share that is expected. Where nothing can
    be accepted yet, threshold is 1, and the others are of all candidates. checks: candidates checked; plan: what more checks
    would allow beyond that, fewest first, as far as that can be foreseen."""

    tasks: Tasks
    threshold: float
    bound: float
    expected: float
    checks: int
    plan: tuple[Step, ...]


def candidates(population: Population, error: float = ERROR) -> Population:
    """The images of `population` to be frozen, and to draw checks from: the surest ones, as many as are expected to leave the
    most to be accepted, less what the checks for it cost. None where no number of checks is worth it.

    It follows from confidences alone, so it is settled before any answer. An image whose confidence is not finite is never
    among them.
    """
    finite = population.only(np.isfinite(population.confidences))
    sure = finite.surest(len(finite.tasks))
    best, most = 0, 0.0
    for size in sorted({len(sure.tasks) * part // PARTS for part in range(1, PARTS + 1)} - {0}):
        steps = _Rung(sure.surest(size), NOTHING, NOTHING, error, RUNGS[0][1] * ALPHA).steps(size)
        worth = max((step.worth() for step in steps), default=0.0)
        if worth > most:
            best, most = size, worth
    return sure.surest(best)


def decide(
    population: Population, checks: Checks, others: Checks = NOTHING, error: float = ERROR, alpha: float = ALPHA
) -> Decision:
    """What of the candidates `population` may be accepted, so that with confidence 1 - `alpha` at most a share `error` of it
    is wrong.

    checks: the first so many candidates in a random order that was settled when they were frozen, without a gap: those whose
    answer is missing count as wrong, those that somebody labelled for another reason belong to them too. others: what people
    said of candidates further back in that order. Raises ValueError on an `error` outside (0, 1).
    """
    if not 0 < error < 1:
        raise ValueError(f"error {error} is no share between 0 and 1: 0.02 is 2 %")
    others = others.only(~np.isin(others.tasks, checks.tasks))
    sizes = [(round(share * len(population.tasks)), part * alpha) for share, part in RUNGS]
    rungs = [_Rung(population.surest(size), checks, others, error, part) for size, part in sizes]
    kept = max((rung for rung in rungs if rung.promised), key=lambda rung: rung.left, default=None)
    shown = kept or rungs[0]
    tasks, threshold = (kept.open.tasks, float(kept.open.confidences.min())) if kept else (NOTHING.tasks, 1.0)
    more = [rung.step(rungs[0].unchecked, len(tasks)) for rung in rungs if rung.left > len(tasks)]
    plan = _cheapest([step for step in more if step])
    return Decision(tasks, threshold, shown.bound, shown.rate, len(checks.among(population).tasks), plan)


class _Rung:
    """A set of the surest candidates, and what is known of it. x of n checks and w of the others in it are wrong; `left` images
    are open, of which the promise is."""

    def __init__(self, population: Population, checks: Checks, others: Checks, error: float, alpha: float) -> None:
        checks, others = checks.among(population), others.among(population)
        self.size, self.error, self.alpha = len(population.tasks), error, alpha
        self.n, self.x = len(checks.tasks), int((~checks.right).sum())
        self.w = int((~others.right).sum())
        self.open = population.only(~np.isin(population.tasks, np.append(checks.tasks, others.tasks)))
        self.left, self.unchecked = len(self.open.tasks), self.size - self.n
        self.doubt = float((1 - population.confidences).mean(dtype=np.float64)) if self.size else 0.0
        self.expected = min(max(self.doubt, LEAST), 0.5)  # not by `error`, so that one bound holds for all of them

    @property
    def promised(self) -> bool:
        """Whether the open images keep the promise."""
        return self.left > 0 and bool(self._keeps(self.n, self.x, self.left))

    @property
    def bound(self) -> float:
        """An upper bound of the share of wrong ones among the open images; 0 where there are none."""
        most = most_wrong(self.size, self.n, self.x, self.expected, self.alpha) - self.x - self.w
        return min(1.0, max(0, most) / self.left) if self.left else 0.0

    @property
    def rate(self) -> float:
        """The share of wrong ones that is expected: at first by the confidences, then ever more by the checks."""
        wrong, right = self._belief
        return wrong / (wrong + right)

    def step(self, unchecked: int, accepted: int = 0) -> Step | None:
        """The next checks of all `unchecked` candidates to ask for: the fewest that rather allow what is open than not, since
        asking again costs nothing. None where no number is expected to bring more images, beyond those `accepted` anyway,
        than its checks cost."""
        steps = self.steps(unchecked)
        if max((step.worth(accepted) for step in steps), default=0) <= 0:
            return None
        return next((step for step in steps if step.chance >= RATHER), steps[-1])

    def steps(self, unchecked: int) -> list[Step]:
        """The fewest checks more that allow what is open, should none, one, two of them be wrong, and so on."""
        more = np.unique(np.ceil(np.geomspace(1, max(1, min(unchecked, MOST)), TRIED)))
        mine = np.round(more * (self.unchecked / max(unchecked, 1)))
        left = np.maximum(self.left - mine, 0)  # as if nobody labelled another image meanwhile
        steps: list[Step] = []
        for wrong in range(UNLUCKY):
            enough = np.flatnonzero((left > 0) & (mine > wrong) & self._keeps(self.n + mine, self.x + wrong, left))
            if not len(enough) or (steps and steps[-1].chance > LIKELY):
                break
            at = enough[0]
            chance = at_most(wrong, int(mine[at]), *self._belief)
            steps.append(Step(int(more[at]), int(left[at]), chance))
        return steps

    @property
    def _belief(self) -> tuple[float, float]:
        """Parameters of a beta distribution of the share of wrong ones, for plans; the bound does not rest on it."""
        doubt = min(max(CAUTION * self.doubt, LEAST), 0.5)
        return 1 + self.x, 1 / doubt - 1 + self.n - self.x

    def _keeps(self, n: NDArray | int, x: NDArray | int, left: NDArray | int) -> Bools:
        """Whether x wrong ones of n checks keep the promise about what is `left`."""
        broken = np.floor(self.error * np.asarray(left) + 1e-9) + 1 + x + self.w  # wrong ones in all that would break it
        return excluded(self.size, n, x, broken, self.expected, self.alpha)


def _cheapest(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps without those that ask for more and allow less, fewest checks first."""
    best: list[Step] = []
    for step in sorted(steps, key=lambda step: (step.checks, -step.images)):
        if not best or step.images > best[-1].images:
            best.append(step)
    return tuple(best)
