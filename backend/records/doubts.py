"""Labels in doubt, among a project's documents: what a version doubts, and those of which people have said that they are
right."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from model.storage.documents import Documents
from model.version_store import NAME

RIGHT = "right.json"


@dataclass(frozen=True)
class Doubt:
    """A label that is likely wrong.

    label: the class that people gave the task; probability: that of this class; suggested: the most probable one, and its
    confidence. Both come from heads that never saw the label.
    """

    task: int
    label: str
    probability: FiniteFloat
    suggested: str
    confidence: FiniteFloat


@dataclass(frozen=True)
class Found:
    """What a version doubts: the least likely to be right first, of so many labels `judged`; learned: how many of them its
    backbone was retrained on, so that it may have learned their errors too."""

    doubts: list[Doubt]
    judged: int
    learned: int


FOUND = TypeAdapter(Found)


def write_found(documents: Documents, version: str, found: Found) -> None:
    """Keep it beside `version` among a project's `documents`; nothing happens where that has been removed meanwhile."""
    if documents.read(f"versions/{version}/version.json") is not None:
        documents.write_json(_file(version), asdict(found))


def read_found(documents: Documents, version: str) -> Found | None:
    """What `version` doubts; None where that is not known yet, or cannot be read."""
    try:
        return FOUND.validate_python(documents.read_json(_file(version)))
    except ValidationError:
        return None


def latest_found(documents: Documents, live: str) -> Found | None:
    """What the version `live` doubts; until that is known, what the newest version that was looked through does."""
    if own := read_found(documents, live):
        return own
    numbers = {name: int(match[1]) for name in documents.within("versions").folders() if (match := NAME.fullmatch(name))}
    newest_first = sorted(numbers, key=lambda name: -numbers[name])
    return next((found for name in newest_first if (found := read_found(documents, name))), None)


def forget_found(documents: Documents, version: str) -> None:
    """Forget what `version` doubts: it is gone."""
    documents.remove(_file(version))


def clear_found(documents: Documents) -> None:
    """Forget what every version doubts."""
    for version in documents.within("versions").folders():
        forget_found(documents, version)


def _file(version: str) -> str:
    return f"versions/{version}/doubts.json"


class Right:
    """Labels that people have looked at and found right, among the project's `documents`, safe for many processes. A
    task that is labelled otherwise since may be in doubt again."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def labels(self) -> dict[int, str]:
        """Which label of which task was found right."""
        found = self._documents.read_json(RIGHT)
        if not isinstance(found, dict):
            return {}
        return {int(task): str(label) for task, label in found.items() if task.isascii() and task.isdigit()}

    def add(self, task: int, label: str) -> None:
        """Remember that `label` is right for `task`."""
        self._change(lambda kept: kept | {str(task): label})

    def clear(self) -> None:
        """Forget everything."""
        self._documents.remove(RIGHT)

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with self._documents.locked(RIGHT):
            self._documents.write_json(RIGHT, change({str(task): label for task, label in self.labels().items()}))
