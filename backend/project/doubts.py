"""Labels in doubt: what a version doubts, kept beside it, and those of which people have said that they are right."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from model.files import locked, read_json, write_json

FILE = "doubts.json"  # in the folder of a version
RIGHT = "right.json"  # in the project's folder


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


def write_found(version: Path, found: Found) -> None:
    """Keep it beside the version in the folder `version`; nothing happens where that has been removed meanwhile."""
    if version.is_dir():
        write_json(version / FILE, asdict(found))


def read_found(version: Path) -> Found | None:
    """What the version in the folder `version` doubts; None where that is not known yet, or cannot be read."""
    try:
        return FOUND.validate_python(read_json(version / FILE))
    except ValidationError:
        return None


def latest_found(versions: Path, live: str) -> Found | None:
    """What the version `live`, in the folder `versions`, doubts; until that is known, what the last version that was looked
    through does."""
    own = read_found(versions / live)
    if own:
        return own
    kept = sorted(versions.glob(f"*/{FILE}"), key=_age)
    return next((found for path in kept if (found := read_found(path.parent))), None)


def _age(path: Path) -> float:
    """Sorts the newest first; what has been removed meanwhile comes last."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


class Right:
    """Labels that people have looked at and found right, in a small file of the project's `folder`, safe for many processes. A
    task that is labelled otherwise since may be in doubt again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RIGHT

    def labels(self) -> dict[int, str]:
        """Which label of which task was found right."""
        found = read_json(self._path)
        if not isinstance(found, dict):
            return {}
        return {int(task): str(label) for task, label in found.items() if task.isascii() and task.isdigit()}

    def add(self, task: int, label: str) -> None:
        """Remember that `label` is right for `task`."""
        self._change(lambda kept: kept | {str(task): label})

    def clear(self) -> None:
        """Forget everything."""
        self._path.unlink(missing_ok=True)

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with locked(self._path.with_name(".right.lock")):
            write_json(self._path, change({str(task): label for task, label in self.labels().items()}))
