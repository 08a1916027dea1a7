"""Ways to label by people who err, at equal numbers of answers: the same crowd, draws, strategy and head."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from backend.simulate.crowd.labelling import AGAIN, MAJORITY, ONCE, TRUE, WEIGHED, Labelling, label
from backend.simulate.crowd.people import Crowd
from backend.simulate.parallel import Experiment
from backend.simulate.statistics import Curves, Estimate, area, estimate
from backend.simulate.store import Trial
from backend.simulate.text import as_points, as_value, markdown


@dataclass(frozen=True)
class Labellings(Experiment):
    """What all labellings have in common: the people of `crowd`."""

    crowd: Crowd

    def run(self, trial: Trial, report: Callable[[], None]) -> Labelling:
        """The labelling of a trial, whose method is called as its way is."""
        return label(self.images, self.protocol, trial.method, self.crowd, trial.method.name, trial.seed, report)


def ways_of(crowd: Crowd) -> tuple[str, ...]:
    """The ways that are compared: asking again where one person answers each image, else weighing against the majority."""
    return (TRUE, ONCE, AGAIN) if crowd.each == 1 else (TRUE, ONCE, MAJORITY, WEIGHED)


@dataclass(frozen=True)
class Compared:
    """The labellings of each way, one a seed, at the numbers of `answers`."""

    labellings: Mapping[str, Sequence[Labelling]]
    crowd: Crowd
    answers: Sequence[int]

    def f1(self, way: str) -> Curves:
        """Macro F1, of shape (seeds, numbers of answers)."""
        return np.array([[one.at(answers) for answers in self.answers] for one in self.labellings[way]])

    def aubc(self, way: str) -> Estimate:
        """The area under the curve of F1 over answers."""
        return estimate(area(list(self.answers), self.f1(way)))

    def difference(self, way: str, other: str) -> Estimate:
        """Of that area, `way` minus `other`, paired."""
        at = list(self.answers)
        return estimate(area(at, self.f1(way)) - area(at, self.f1(other)))

    def at_the_end(self, way: str, value: Callable[[Labelling], float]) -> float:
        """The mean of a value of each labelling."""
        return float(np.mean([value(one) for one in self.labellings[way]]))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Ways whose difference is told, the second taken from the first."""
        better = (AGAIN, ONCE) if self.crowd.each == 1 else (WEIGHED, MAJORITY)
        return [(ONCE, TRUE), better] + ([(WEIGHED, ONCE)] if self.crowd.each > 1 else [])


def as_crowd_table(compared: Compared) -> str:
    """What each way gives for the same answers. In Markdown and sentences."""
    end = compared.answers[-1]
    rows = [["way", f"F1 after {end} answers", "AUBC", "images", "wrong labels", "without one"]]
    for way in compared.labellings:
        last = estimate(compared.f1(way)[:, -1])
        images = compared.at_the_end(way, lambda one: one.images)
        wrong = compared.at_the_end(way, lambda one: one.wrong[-1])
        without = compared.at_the_end(way, lambda one: one.without[-1])
        shares = [f"{100 * wrong:.1f} %", f"{100 * without:.1f} %"]
        rows.append([way, as_value(last), f"{compared.aubc(way).mean:.3f}", f"{images:.0f}", *shares])
    lines = [markdown(rows)]
    for way, other in compared.pairs:
        lines.append(f"{way} against {other}: {as_points(compared.difference(way, other))} points of AUBC.")
    crowd = compared.crowd
    rates = ", ".join(f"{rate:.0%}" for rate in crowd.rates())
    lines.append(
        f"{crowd.people} people answer, {crowd.each} each image; of their answers {rates} are wrong, and at equal numbers of "
        f"answers {ONCE} has {crowd.each} times as many images."
        if crowd.each > 1
        else f"{crowd.people} people answer, one each image; of their answers {rates} are wrong."
    )
    if sure := [pair for ones in compared.labellings.values() for one in ones for pair in one.sure]:
        said, right = np.array(sure, float).mean(axis=0)
        lines.append(f"Labels were said to be right with {said:.1%} on average; {right:.1%} were.")
    return "\n".join(lines)


def as_crowd_json(compared: Compared) -> dict[str, Any]:
    """All figures, for programs."""
    return {
        "crowd": asdict(compared.crowd) | {"people": compared.crowd.people, "rates": compared.crowd.rates().tolist()},
        "answers": list(compared.answers),
        "ways": {
            way: {
                "macro_f1": compared.f1(way).tolist(),
                "aubc": compared.aubc(way).mean,
                "wrong": [one.wrong[-1] for one in labellings],
                "without": [one.without[-1] for one in labellings],
                "images": [one.images for one in labellings],
            }
            for way, labellings in compared.labellings.items()
        },
        "differences": [
            {"way": way, "against": other} | asdict(compared.difference(way, other)) for way, other in compared.pairs
        ],
    }


def as_crowd_csv(compared: Compared) -> str:
    """One line for each round of each labelling."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(["way", "seed", "answers", "macro_f1", "wrong", "without"])
    for way, labellings in compared.labellings.items():
        for seed, one in enumerate(labellings):
            for point in zip(one.answers, one.macro_f1, one.wrong, one.without, strict=True):
                lines.writerow([way, seed, *point])
    return buffer.getvalue()
