"""A frozen head of a project and the images that people check it by: what `validate` asks for, and what `accept` decides by.

Frozen are its guesses of the surest images without a label. A hash orders them at random; those asked about are the first of
that order, and stand at the head of the queue without a guess until each is answered.
"""

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from backend.index.consensus import ACCEPTED, UNLABELLED
from backend.index.tasks import Tasks
from backend.learning.promise import Checks, Decision, Population, decide
from model.storage.documents import Documents
from strategies.arrays.hashing import uniform_hash

FOLDER, FILE = "validation", "validation.json"


@dataclass(frozen=True)
class Promise:
    """What was accepted by a frozen head. images: how many, of which at most the share `error` is wrong with 95 %; when:
    seconds since 1970."""

    version: str
    error: float
    images: int
    when: float


@dataclass(frozen=True)
class Decided:
    """A decision that is being carried out. arrays: the frozen head that it is of; tasks: what is accepted; error: the share of
    wrong ones that is promised; annotate: whether as annotations."""

    arrays: str
    tasks: list[int]
    error: float
    annotate: bool


@dataclass(frozen=True)
class Frozen:
    """A head as it was. version: whose it is; target: what it was to tell (`Target.as_dict`); arrays: the file of its guesses;
    error: the share of wrong labels that was asked for; asked: how many images people are asked about; used: whether labels
    were accepted by it already, so that another must be frozen; wish: the last one that asked about images."""

    version: str
    target: dict[str, Any]
    arrays: str
    error: float
    when: float
    asked: int = 0
    used: bool = False
    wish: str = ""


@dataclass(frozen=True)
class Answered:
    """What people have said of the images of a frozen head. checks: the first of the random order, up to the first that is
    open; others: the rest of what they labelled; done: of the images that are asked about, those that are not open any more."""

    checks: Checks
    others: Checks
    done: int


class Validation:
    """The frozen head of one project, in a folder of its own among the project's `documents`."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents.within(FOLDER)

    def read(self) -> Frozen | None:
        """The frozen head, None where there is none, or its file is damaged."""
        try:
            return Frozen(**(self._documents.read_json(FILE) or {}))
        except TypeError:
            return None

    def freeze(self, version: str, target: dict[str, Any], error: float, candidates: Population) -> Frozen:
        """Keep what the head of `version` guesses of `candidates`, in place of what was frozen before."""
        frozen = Frozen(version, target, f"{version}-{uuid.uuid4().hex[:6]}.safetensors", error, time.time())
        arrays: dict[str, NDArray[Any]] = {
            "tasks": candidates.tasks,
            "guesses": candidates.guesses,
            "confidences": candidates.confidences,
        }
        self._documents.write(frozen.arrays, save(arrays))
        self.keep(frozen)
        for name in self._documents.names():
            if name.endswith(".safetensors") and name != frozen.arrays:
                self._documents.remove(name)
        return frozen

    def keep(self, frozen: Frozen) -> Frozen:
        """Write what has changed of it; returns it."""
        self._documents.write_json(FILE, asdict(frozen))
        return frozen

    def ask(self, frozen: Frozen, more: int, wish: str = "") -> Frozen:
        """Ask about so many `more` images, as far as there are any; returns it as it is then. One `wish` asks once."""
        if wish and frozen.wish == wish:
            return frozen
        asked = min(frozen.asked + more, len(self.candidates(frozen).tasks))
        return self.keep(replace(frozen, asked=asked, wish=wish))

    def candidates(self, frozen: Frozen) -> Population:
        """Its guesses, in the order in which images are asked about; none where the file is gone or damaged."""
        try:
            found = load(self._documents.read(frozen.arrays) or b"")
            tasks, guesses, confidences = found["tasks"], found["guesses"], found["confidences"]
        except (SafetensorError, KeyError):
            return Population(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        order = np.argsort(uniform_hash(tasks, f"checks {frozen.arrays}"), kind="stable")
        return Population(tasks[order], guesses[order], confidences[order])

    def asked(self) -> NDArray[np.int64]:
        """The tasks that people are asked about, answered or not, in their order: int64 (n,)."""
        frozen = self.read()
        return np.zeros(0, np.int64) if frozen is None or frozen.used else self.candidates(frozen).tasks[: frozen.asked]

    def promises(self) -> list[Promise]:
        """What was accepted and not taken back, oldest first; those of a lost DATA_DIR are not known."""
        try:
            return [Promise(**entry) for entry in self._documents.read_json("promises.json") or []]
        except TypeError:
            return []

    def set_promises(self, promises: Iterable[Promise]) -> None:
        """Keep these."""
        self._documents.write_json("promises.json", [asdict(promise) for promise in promises])

    def decide(self, frozen: Frozen, tasks: list[int], error: float, annotate: bool) -> Decided:
        """Keep what was decided, so that a job that is interrupted ends it as it began; returns it."""
        decided = Decided(frozen.arrays, tasks, error, annotate)
        self._documents.write_json("decided.json", asdict(decided))
        return decided

    def decided(self, frozen: Frozen) -> Decided | None:
        """The decision about this head that is being carried out, None for none."""
        try:
            decided = Decided(**(self._documents.read_json("decided.json") or {}))
        except TypeError:
            return None
        return decided if decided.arrays == frozen.arrays else None

    def forget_decided(self) -> None:
        """It is carried out, or taken back."""
        self._documents.remove("decided.json")

    def clear(self) -> None:
        """Forget everything."""
        self._documents.clear()


def answered(frozen: Frozen, candidates: Population, unlabelled: NDArray[np.int64], labels: Mapping[int, str]) -> Answered:
    """What people have said of `candidates`, which stand in their order. unlabelled: the tasks that no person has labelled or
    skipped, int64 (n,); labels: of each task that a person has labelled its class.

    A check that was skipped, that cannot be used or that is gone counts as wrong, since it must not be left out for that.
    """
    classes = frozen.target["classes"]
    is_open = np.isin(candidates.tasks, unlabelled)
    right = np.zeros(len(is_open), bool)
    for place in np.flatnonzero(~is_open).tolist():
        right[place] = labels.get(int(candidates.tasks[place])) == classes[candidates.guesses[place]]
    first = int(np.argmax(is_open)) if is_open.any() else len(is_open)
    rest = np.flatnonzero(~is_open[first:]) + first
    done = int((~is_open[: frozen.asked]).sum())
    return Answered(Checks(candidates.tasks[:first], right[:first]), Checks(candidates.tasks[rest], right[rest]), done)


@dataclass(frozen=True)
class Look:
    """A look at the frozen head of a project: its candidates in the order in which they are asked about, and what people said
    of
    them."""

    frozen: Frozen
    population: Population
    said: Answered

    @property
    def open_checks(self) -> int:
        """How many of the images that people are asked about are still open."""
        return self.frozen.asked - self.said.done

    def decide(self, error: float) -> Decision:
        """What may be accepted so that at most a share `error` of it is wrong."""
        return decide(self.population, self.said.checks, self.said.others, error)


def look(validation: Validation, tasks: Tasks) -> Look | None:
    """What is known of the frozen head by the project's `tasks`; None where none is frozen. Raises IndexUnavailable."""
    frozen = validation.read()
    if not frozen:
        return None
    population = validation.candidates(frozen)
    return Look(frozen, population, answered(frozen, population, tasks.of(UNLABELLED, ACCEPTED), tasks.labels()))
