"""Labelling in groups against labelling one by one, at equal time: the same person, draws, strategy and head."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backend.simulate.parallel import Experiment
from backend.simulate.person import Person
from backend.simulate.statistics import Curves, Estimate, estimate
from backend.simulate.store import Trial
from backend.simulate.text import as_points, as_value, markdown
from backend.simulate.walk import Walk, walk

SINGLY, IN_GROUPS = "one by one", "groups"  # names of methods
TIMES = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1)  # of the whole time, at which both are compared


@dataclass(frozen=True)
class Walks(Experiment):
    """What all walks have in common: a `person` who works for so many `seconds`."""

    person: Person
    seconds: float

    def run(self, trial: Trial, report: Callable[[], None]) -> Walk:
        """The walk of a trial, whose method is called SINGLY or IN_GROUPS."""
        groups = trial.method.name == IN_GROUPS
        return walk(self.images, self.protocol, trial.method, self.person, self.seconds, groups, trial.seed, report)


@dataclass(frozen=True)
class Compared:
    """The walks of both ways, by SINGLY and IN_GROUPS, one a seed each; all differences are groups minus one by one."""

    walks: Mapping[str, Sequence[Walk]]
    person: Person
    seconds: float

    def _each(self, way: str, value: Callable[[Walk], float]) -> Curves:
        return np.array([value(walk) for walk in self.walks[way]])

    def f1(self, way: str, seconds: float) -> Curves:
        """Macro F1 of the last round that had ended by then, of shape (seeds,)."""
        return self._each(way, lambda walk: walk.macro_f1[walk.at(seconds)])

    def labels(self, way: str, seconds: float) -> Curves:
        """Labels that this round had, of shape (seeds,)."""
        return self._each(way, lambda walk: walk.labels[walk.at(seconds)])

    @property
    def in_grids(self) -> Estimate:
        """Labels a second in grids over those of one by one."""
        return estimate(self._each(IN_GROUPS, lambda w: w.in_grids / max(w.grid_seconds, 1e-9) * self.person.one_by_one))

    @property
    def in_all(self) -> Estimate:
        """Labels a second over those of one by one, with all that is labelled one by one beside the grids."""
        return estimate(self._each(IN_GROUPS, lambda w: w.labels[-1] / max(w.seconds[-1], 1e-9) * self.person.one_by_one))

    @property
    def wrong(self) -> Estimate:
        """Share of wrong labels among all of them; one by one there is none."""
        return estimate(self._each(IN_GROUPS, lambda walk: walk.wrong[-1] / max(walk.labels[-1], 1)))

    @property
    def odd(self) -> Estimate:
        """Share of the images in grids that did not belong."""
        return estimate(self._each(IN_GROUPS, lambda walk: walk.odd / max(walk.shown, 1)))

    def difference(self, seconds: float) -> Estimate:
        """Of macro F1 at that time."""
        return estimate(self.f1(IN_GROUPS, seconds) - self.f1(SINGLY, seconds))


def as_walks_table(compared: Compared) -> str:
    """What both ways give over time, and how quick and how right grids are. In Markdown and sentences."""
    rows = [["minutes", "one by one: labels", "F1", "groups: labels", "F1", "difference in points"]]
    for share in TIMES:
        seconds = share * compared.seconds
        row = [f"{seconds / 60:.1f}"]
        for way in (SINGLY, IN_GROUPS):
            row += [f"{compared.labels(way, seconds).mean():.0f}", as_value(estimate(compared.f1(way, seconds)))]
        rows.append([*row, as_points(compared.difference(seconds))])
    a_minute = 60 / compared.person.one_by_one
    return (
        f"{markdown(rows)}\nGrids: {a_minute * compared.in_grids.mean:.0f} labels a minute, {_times(compared.in_grids)} the "
        f"{a_minute:.0f} of one by one; with all that is labelled one by one beside them {_times(compared.in_all)}. "
        f"Wrong labels: {_percent(compared.wrong)} of all, one by one none; {_percent(compared.odd)} of the images in grids "
        "did not belong."
    )


def as_walks_json(compared: Compared) -> dict[str, Any]:
    """All figures, for programs."""
    figures = {"in_grids": compared.in_grids, "in_all": compared.in_all, "wrong": compared.wrong, "odd": compared.odd}
    at = [share * compared.seconds for share in TIMES]
    return {
        "person": asdict(compared.person),
        "seconds": compared.seconds,
        "walks": {way: [asdict(walk) for walk in walks] for way, walks in compared.walks.items()},
        "difference": [{"seconds": seconds} | asdict(compared.difference(seconds)) for seconds in at],
    } | {name: asdict(value) for name, value in figures.items()}


def as_walks_csv(compared: Compared) -> str:
    """One line for each round of each walk."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(["way", "seed", "seconds", "labels", "wrong", "macro_f1"])
    for way, walks in compared.walks.items():
        for seed, one in enumerate(walks):
            for point in zip(one.seconds, one.labels, one.wrong, one.macro_f1, strict=True):
                lines.writerow([way, seed, *point])
    return buffer.getvalue()


def _times(value: Estimate) -> str:
    interval = f" ({value.interval[0]:.1f} to {value.interval[1]:.1f})" if value.interval else ""
    return f"{value.mean:.1f} times{interval}"


def _percent(value: Estimate) -> str:
    interval = f" ({100 * value.interval[0]:.1f} to {100 * value.interval[1]:.1f})" if value.interval else ""
    return f"{100 * value.mean:.1f} %{interval}"
