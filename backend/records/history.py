"""How good each version was that the queue has followed, still known once the version itself is not on disk any more."""

from contextlib import suppress
from typing import Any

from pydantic import BaseModel, FiniteFloat, NonNegativeInt, ValidationError

from model.storage.documents import Documents
from model.version_store import VersionError, VersionStore

FILE = "history.jsonl"
MOST = 1000  # versions kept: more would not show on a curve


class _Gain(BaseModel):
    labels: NonNegativeInt
    macro_f1: FiniteFloat
    interval: tuple[FiniteFloat, FiniteFloat]


class Entry(BaseModel):
    """A version's name, when it was made, from how many labels, and what was measured of it: see `Metrics` and `Gain`.

    random_slots: labelled images of the random sample, on which all of that rests; unjudged: tasks that none of them stands
    for.
    """

    name: str
    created: FiniteFloat
    labels: NonNegativeInt
    macro_f1: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None
    random_slots: NonNegativeInt
    effective: FiniteFloat
    enough: bool
    unjudged: NonNegativeInt
    gain: _Gain | None
    accuracy: FiniteFloat | None = None
    accuracy_interval: tuple[FiniteFloat, FiniteFloat] | None = None
    unlabelled: bool = False


def summary(about: dict[str, Any]) -> dict[str, Any]:
    """What an Entry says, from the version.json of a version of today or of earlier days."""
    named = {name: about[name] for name in ("name", "created", "labels")}
    return named | figures_of(about["metrics"])


def figures_of(metrics: dict[str, Any]) -> dict[str, Any]:
    """What an Entry says of a version's metrics, of today or of earlier days."""
    return {
        "macro_f1": metrics.get("macro_f1"),
        "interval": metrics.get("interval"),
        "random_slots": metrics.get("n", 0),
        "effective": metrics.get("effective", metrics.get("n", 0)),
        "enough": metrics.get("enough", False),
        "unjudged": metrics.get("unjudged", 0),
        "gain": metrics.get("gain"),
        "acceptable": metrics.get("acceptable"),
        "accuracy": metrics.get("accuracy"),
        "accuracy_interval": metrics.get("accuracy_interval"),
        "unlabelled": metrics.get("unlabelled", False),
    }


class History:
    """The history of a project, among its `documents`: one line for each version, so that a damaged line costs itself alone."""

    def __init__(self, documents: Documents, versions: VersionStore) -> None:
        self._documents = documents
        self._versions = versions

    def entries(self) -> list[Entry]:
        """The versions that were followed, in that order; those on disk where nothing is kept, as in a project from before
        there was a history."""
        return self._kept() or self._on_disk(self._versions.names())

    def add(self, version: str) -> None:
        """Keep what is known of `version`, which the queue is to follow from now on."""
        with self._documents.locked(FILE):
            self._add(version, self._kept())

    def _add(self, version: str, kept: list[Entry]) -> None:
        if any(entry.name == version for entry in kept):
            return
        others = kept or [entry for entry in self._on_disk(self._versions.names()) if entry.name != version]
        entries = [*others, *self._on_disk([version])]
        if len(entries) > MOST:
            entries = [*entries[: MOST // 2 : 2], *entries[MOST // 2 :]]
        text = "".join(entry.model_dump_json() + "\n" for entry in entries)
        self._documents.write(FILE, text.encode())

    def clear(self) -> None:
        """Forget all: the project is another one under the same id."""
        self._documents.remove(FILE)

    def _kept(self) -> list[Entry]:
        entries = []
        for line in self._documents.read_text(FILE).splitlines():
            with suppress(ValidationError):
                entries.append(Entry.model_validate_json(line))
        return entries

    def _on_disk(self, names: list[str]) -> list[Entry]:
        entries = []
        for name in names:
            with suppress(VersionError, ValidationError):
                entries.append(Entry.model_validate(summary(self._versions.about(name))))
        return entries
