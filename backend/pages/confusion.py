"""Which classes a version takes for which, on the labelled random slots, and the images behind it."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from model.measuring.metrics import ENOUGH

CLASSES = 12  # whose confusion is shown: more no screen holds
LEVELS = 5  # of a cell's shade


@dataclass(frozen=True)
class Cell:
    """Images of one class that are taken for one. share: of its class, estimated for all images, None with too few of them."""

    truth: str
    guess: str
    images: int
    share: float | None

    @property
    def query(self) -> str:
        """What asks for its images, in an address."""
        return urlencode({"truth": self.truth, "guess": self.guess})

    @property
    def level(self) -> int:
        """How dark it is, from 0 to LEVELS."""
        return math.ceil(LEVELS * (self.share or 0.0))


@dataclass(frozen=True)
class Matrix:
    """The rows of the confusion matrix, one for each class shown, of as many `classes` as there are."""

    shown: list[str]
    rows: list[list[Cell]]
    classes: int


class Confusion:
    """What was measured of a version, from its version.json. known: whether its images were kept, which versions of earlier
    days did not do; several: whether images may be of several classes, so that there is nothing to confuse."""

    def __init__(self, about: dict[str, Any]) -> None:
        metrics = about["metrics"]
        self.classes = list(about["target"].get("classes", []))
        self.several = bool(about["target"].get("several"))
        self.known = not metrics.get("n") or "judged" in metrics or "slots" in metrics  # nothing measured, nothing to keep
        self._enough = metrics.get("enough", False)
        self._counted = metrics.get("effective", metrics.get("n", 0)) >= ENOUGH
        self._f1 = metrics.get("per_class") or [None] * len(self.classes)
        self._intervals = metrics.get("per_class_intervals") or [None] * len(self.classes)
        self._weights = {(truth, guess): weight for truth, guess, weight in metrics.get("confusion", [])}
        self._slots = Counter(dict(enumerate(metrics.get("slots", []))))
        judged = metrics.get("judged", {"tasks": [], "truths": [], "guesses": []})
        self._judged = list(zip(judged["tasks"], judged["truths"], judged["guesses"], strict=True))

    def matrix(self) -> Matrix | None:
        """The classes that are confused most, in their own order; None where no image was judged."""
        if not self._judged:
            return None
        whole, wrong = defaultdict[int, float](float), defaultdict[int, float](float)
        for (truth, guess), weight in self._weights.items():
            whole[truth] += weight
            wrong[truth] += weight * (truth != guess)
            wrong[guess] += weight * (truth != guess)
        most = sorted(range(len(self.classes)), key=lambda number: -wrong[number])[:CLASSES]
        shown = sorted(most)
        images = Counter((truth, guess) for _, truth, guess in self._judged)

        def cell(truth: int, guess: int) -> Cell:
            share = self._weights.get((truth, guess), 0.0) / whole[truth] if self._counted and whole[truth] else None
            return Cell(self.classes[truth], self.classes[guess], images[truth, guess], share)

        names = [self.classes[number] for number in shown]
        return Matrix(names, [[cell(truth, guess) for guess in shown] for truth in shown], len(self.classes))

    def by_class(self) -> list[tuple[str, float | None, list[float] | None, int | None]]:
        """Each class, its F1 with an interval and how many random slots have it: the worst first; None for an F1 that is not
        known well enough, an interval that was not measured, and a number that was not kept."""
        slots = self._slots or Counter(truth for _, truth, _ in self._judged)
        f1 = self._f1 if self._enough else [None] * len(self.classes)
        found = [(name, f1[at], self._intervals[at], slots[at] if self.known else None) for at, name in enumerate(self.classes)]
        return sorted(found, key=lambda entry: math.inf if entry[1] is None else entry[1])

    def images(self, truth: str, guess: str) -> list[int]:
        """Tasks of the images of class `truth` that are taken for `guess`."""
        return [task for task, *pair in self._judged if [self.classes[number] for number in pair] == [truth, guess]]
