"""The pool finished by the head: what may be accepted after so many labels, what people look at for it, and whether it keeps
its promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.promise import Checks, Population, decide
from backend.simulate.curves import head_of, sample_of, state
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Rows, draw
from backend.simulate.protocol import Method, Protocol
from backend.simulate.text import markdown


@dataclass(frozen=True)
class Frozen:
    """The pool that is left after so many `labels`, as the head sees it, surest first; images: of the whole pool.

    right: bool (N,), whether the folder says what the head guesses. Tasks of the population are places in it.
    """

    population: Population
    right: NDArray[np.bool_]
    labels: int
    images: int

    def oracle(self, error: float) -> int:
        """How many could be accepted by who knows all labels: the surest ones, as long as a share `error` of them is wrong."""
        wrong = np.cumsum(~self.right)
        kept = np.flatnonzero(wrong <= error * np.arange(1, len(wrong) + 1))
        return int(kept[-1]) + 1 if len(kept) else 0


@dataclass(frozen=True)
class Run:
    """What came of it: candidates checked, images accepted, and how many of these are wrong; oracle: see Frozen; labels: given
    before; images: of the whole pool."""

    checks: int
    accepted: int
    wrong: int
    oracle: int
    labels: int
    images: int


def freeze(images: Dataset, protocol: Protocol, method: Method, picked: Rows, seed: int) -> Frozen:
    """The pool that `seed` draws once the rows `picked` are labelled, seen by the head that `method` has then."""
    drawn = draw(images, protocol, seed)
    labelled, pool = state(images, drawn, picked, sample_of(drawn, picked, method.explore))
    head = head_of(method.head, labelled, pool, len(images.classes), seed)
    assert head  # noqa: S101  there are labels
    probabilities = head.probabilities(pool.embeddings)
    seen = Population(pool.tasks, probabilities.argmax(axis=1), probabilities.max(axis=1)).surest(len(pool.tasks))
    right = images.labels[drawn.rows(seen.tasks)] == seen.guesses
    places = np.arange(len(seen.tasks))
    return Frozen(Population(places, seen.guesses, seen.confidences), right, len(picked), len(drawn.pool))


def play(frozen: Frozen, among: Population, error: float, random: np.random.Generator) -> Run:
    """Ask for checks of the candidates `among` the population, in a `random` order, as the plan says, again and again as long
    as that is worth it."""
    order, checks = random.permutation(among.tasks), 0
    while True:
        decision = decide(among, Checks(order[:checks], frozen.right[order[:checks]]), error=error)
        if not decision.plan:
            break
        checks += decision.plan[-1].checks
    wrong = int((~frozen.right[decision.tasks]).sum())
    return Run(checks, len(decision.tasks), wrong, frozen.oracle(error), frozen.labels, frozen.images)


@dataclass(frozen=True)
class Accepted:
    """All `runs` at `error`."""

    runs: Sequence[Run]
    error: float

    def as_dict(self) -> dict[str, Any]:
        """Shares, for programs. accepting: runs that accept something; kept: those of them in which at most `error` of that is
        wrong, None where nothing is accepted; accepted, oracle, touched: means over all runs of shares of the pool, touched of
        what people looked at, which is `labels` and `checks`; wrong: mean share of wrong ones among what is accepted."""
        some = [run for run in self.runs if run.accepted]
        kept = [run.wrong <= self.error * run.accepted for run in some]
        return {
            "error": self.error,
            "runs": len(self.runs),
            "accepting": len(some) / len(self.runs),
            "kept": float(np.mean(kept)) if some else None,
            "accepted": self._mean([run.accepted / run.images for run in self.runs]),
            "oracle": self._mean([run.oracle / run.images for run in self.runs]),
            "touched": self._mean([(run.labels + run.checks) / run.images for run in self.runs]),
            "labels": self._mean([run.labels for run in self.runs]),
            "checks": self._mean([run.checks for run in self.runs]),
            "wrong": self._mean([run.wrong / run.accepted for run in some]) if some else None,
        }

    def as_table(self) -> str:
        """The same in Markdown and a sentence."""
        of = self.as_dict()
        shares = ("accepting", "kept", "accepted", "oracle", "touched", "wrong")
        row = [f"{of['runs']}", *("" if of[name] is None else f"{100 * of[name]:.1f} %" for name in shares)]
        return (
            f"{markdown([['runs', *shares], row])}\n"
            f"After {of['labels']:.0f} labels, {of['checks']:.0f} checks: of what is accepted at most {100 * self.error:g} % "
            "shall be wrong, with 95 % confidence. accepting: runs that accept something; kept: those of them in which that "
            "came true; accepted, oracle, touched: images of the pool that the head labels, that it could label if all were "
            "known, and that people looked at; wrong: of what is accepted."
        )

    @staticmethod
    def _mean(values: Sequence[float]) -> float:
        return float(np.mean(values))
