"""A tree of classes, <Taxonomy>: what is learned are its leaves, each named by its path as Label Studio shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.target import BRANCH, Answer, Target
from backend.labelstudio.task_data import quoted

SEPARATOR = " / "  # between the names of a path, where pathSeparator says no other; Label Studio's own
DEEPEST = 50  # names in a path
SURE = 0.5  # the probability below which the best leaf gives way to a branch that has it


@dataclass(frozen=True)
class Tree(Target):
    """A <Taxonomy> on an <Image>. A class is a leaf's path, its names joined by `separator`.

    stops: whether a guess may stop at a branch. It may where Label Studio's editor takes an answer that is no leaf, and where a
    leaf can be ticked beside it: with maxUsages="1" the branch would have to be unticked first.
    """

    KIND: ClassVar[str] = "taxonomy"

    separator: str = SEPARATOR
    stops: bool = True

    def as_dict(self) -> dict[str, Any]:
        """See Target. Where guesses may stop is no matter of the head."""
        about = super().as_dict() | {"type": self.KIND}
        del about["stops"]
        return about

    def guess(self, probabilities: NDArray[np.floating]) -> list[dict[str, Any]]:
        """The best leaf; where it has less than SURE, and a branch has as much by all its leaves together, the lowest such."""
        if self.stops and probabilities.max() < SURE:
            sums: dict[str, float] = {}
            for name, probability in zip(self.classes, probabilities.tolist(), strict=True):
                for branch in self._branches(name):
                    sums[branch] = sums.get(branch, 0.0) + probability
            sure = [branch for branch, probability in sums.items() if probability >= SURE]
            if sure:
                lowest = max(sure, key=lambda branch: (len(branch.split(self.separator)), sums[branch]))
                return [self.region(lowest, min(sums[lowest], 1.0))]
        return super().guess(probabilities)

    def _branches(self, name: str) -> Iterator[str]:
        """The branches that the path `name` runs through, from the root on."""
        path = name.split(self.separator)
        return (self.separator.join(path[:depth]) for depth in range(1, len(path)))

    def _stored(self, choice: str) -> Any:
        return choice.split(self.separator)

    def _named(self, stored: Any) -> str | None:
        names = stored if isinstance(stored, list) else [stored]
        there = [Target._named(self, name) for name in names]
        return self.separator.join(map(str, there)) if there and None not in there else None

    def _meant(self, choices: set[str]) -> list[str]:
        """Without branches of which something lower is chosen too: who ticks a leaf beside a branch has gone on to the leaf."""
        above = {branch for name in choices for branch in self._branches(name)}
        return sorted(choices - above)

    def _unknown(self, choice: str) -> Answer:
        if any(choice in self._branches(name) for name in self.classes):
            return Answer(
                None, BRANCH, f"the answer stops at {quoted(choice)}, which has classes below it: choose one of these as well"
            )
        return super()._unknown(choice)


def leaves_of(control: ElementTree.Element) -> list[list[ElementTree.Element]]:
    """The path of <Choice>s to each leaf in a control, in the order of the config; those of more than DEEPEST are cut."""
    paths: list[list[ElementTree.Element]] = []
    waiting = [[choice] for choice in reversed(control.findall("Choice"))]
    while waiting:
        path = waiting.pop()
        below = path[-1].findall("Choice") if len(path) <= DEEPEST else []
        waiting += [[*path, choice] for choice in reversed(below)]
        if not below:
            paths.append(path)
    return paths
