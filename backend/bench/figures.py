"""What a measure is given, and what it gives: rows.

A measure is a module of this room with two public names: `ROWS`, the names of all its rows, and `measure(bench)`, which yields
those that are wanted, or more. One that measures networks has `rows_of(networks)` in place of `ROWS`. It runs in a process of
its own. One with `HOUSE = True` needs a Label Studio, and is given one that such measures share: `measure(bench, house)`. Where
it cannot run at all it raises Skipped; whatever else it raises costs the rows it has not yielded yet. One with `ON_REQUEST =
True` takes so much that it runs only where it is asked for by name.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.settings import Settings
from model.networks.backbone import BackboneSpec


class BenchError(ValueError):
    """A benchmark that cannot be run as it was asked for; the message says what to change."""


class Skipped(Exception):
    """Something that a measure needs is not there; the message says what, and how to have it."""


@dataclass(frozen=True)
class Row:
    """A figure.

    name: the measure, a dot, and what was measured: "predict.cached". value: in `unit`: "s", "ms", "GiB", "/s", or "x" for a
    ratio. against: what a ratio is to, or under which conditions the value stands. goal: in the same unit, None where there is
    none. met: whether the value is as good as the goal, None without one.
    """

    name: str
    value: float
    unit: str
    against: str
    goal: float | None = None
    met: bool | None = None

    @classmethod
    def at_most(cls, name: str, value: float, unit: str, against: str, goal: float | None = None) -> "Row":
        """A figure that is to be small, such as seconds."""
        return cls(name, value, unit, against, goal, None if goal is None else value <= goal)

    @classmethod
    def at_least(cls, name: str, value: float, unit: str, against: str, goal: float | None = None) -> "Row":
        """A figure that is to be large, such as how many times as fast."""
        return cls(name, value, unit, against, goal, None if goal is None else value >= goal)


@dataclass(frozen=True)
class Bench:
    """What a measure is given.

    settings: those of the command. folder: an empty one of its own, removed afterwards. only: the measures and beginnings of
    row names that were asked for; empty for all. rows, size: the pool of the strategies, in images, and the picks asked for.
    photos, tasks: how many the projects in Label Studio have. label_studio: the command that starts one, None where there is
    none. backbones: those whose speed is measured, by the names that their rows have.
    """

    settings: Settings
    folder: Path
    only: tuple[str, ...] = ()
    rows: int = 1_000_000
    size: int = 200
    photos: int = 1000
    tasks: int = 100_000
    label_studio: Path | None = None
    backbones: Mapping[str, BackboneSpec] = field(default_factory=dict)

    @property
    def weights(self) -> Path | None:
        """The file of ResNet50's weights, with which rounds are measured; None for the library's."""
        network, _, file = self.settings.backbone.partition("=")
        if network != "resnet50":
            return None  # the settings' file is another network's
        return Path(file) if file else self.settings.model_weights

    def wants(self, row: str) -> bool:
        """Whether the row of this name is asked for."""
        return not self.only or any(asks_for(name, row) for name in self.only)

    def say(self, line: str) -> None:
        """Tell whoever waits how far it is, on standard error."""
        print(line, file=sys.stderr, flush=True)


def asks_for(asked: str, row: str) -> bool:
    """Whether `--only asked` asks for `row`: the name of its measure, or the beginning of its own."""
    return row.partition(".")[0] == asked or ("." in asked and row.startswith(asked))
