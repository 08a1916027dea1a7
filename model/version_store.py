"""Model versions on disk: each a folder that appears whole, named al-{n}-{6 hex}."""

import hashlib
import json
import re
import secrets
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from model.files import read_json, sync, write_json

if TYPE_CHECKING:
    from model.head import Head

NO_VERSION = "al-0"  # what predictions are named before the first round
WRITTEN = {"name", "created", "target", "backbone", "strategy", "head", "labels", "newest_task", "metrics"}  # in version.json
NAME = re.compile(r"al-(\d+)-([0-9a-f]{6})")


class VersionError(LookupError):
    """A version that is not on disk or cannot be read; the message names those that can."""


@dataclass(frozen=True)
class Version:
    """What a round learned. Before any label exists there is a version without a head: it orders by spread alone.

    target: which control and which classes of the labelling config it speaks of; tasks, labels: what it was trained on,
    int64 of shape (n,) each; newest_task: the highest task id in the pool it ranked.
    """

    name: str
    created: float
    target: dict[str, Any]
    backbone: str
    strategy: str
    head: "Head | None"
    tasks: NDArray[np.int64]
    labels: NDArray[np.int64]
    newest_task: int
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the head's outputs."""
        return list(self.target["classes"])

    @property
    def several(self) -> bool:
        """Whether an image may be of several classes or of none."""
        return bool(self.target.get("several"))


class VersionStore:
    """The versions of one project in `folder`.

    `mark` is three hex digits that all names given here have in common, so that those of another store can be told apart.
    """

    def __init__(self, folder: Path, mark: str = "") -> None:
        self.folder = folder
        self.mark = mark

    def names(self) -> list[str]:
        """Names of the versions on disk, oldest first."""
        if not self.folder.is_dir():
            return []
        found = (NAME.fullmatch(path.name) for path in self.folder.iterdir() if (path / "version.json").is_file())
        return [match[0] for match in sorted(filter(None, found), key=lambda match: int(match[1]))]

    def new_name(self, taken: Iterable[str] = ()) -> str:
        """A name above all on disk and all `taken` elsewhere, never given before."""
        numbers = [int(match[1]) for match in map(NAME.fullmatch, [*self.names(), *taken]) if match]
        return f"al-{max(numbers, default=0) + 1}-{self.mark}{secrets.token_hex(3)[len(self.mark) :]}"

    def owns(self, name: str) -> bool:
        """Whether the version `name` was made here, even where it is no longer on disk: it has the mark, or it is there."""
        match = NAME.fullmatch(name)
        return match is not None and (match[2].startswith(self.mark) or (self.folder / name).is_dir())

    def write(self, version: Version) -> None:
        """Put `version` on disk, whole or not at all. Raises VersionError on a name not of our kind."""
        if not NAME.fullmatch(version.name):
            raise VersionError(f"{version.name!r} is no version name, such as al-3-0a1b2c.")
        beside = self.folder / f".{uuid.uuid4().hex}.tmp"
        beside.mkdir(parents=True)
        try:
            if version.head:
                version.head.save(beside / "head.safetensors")
            arrays = {"tasks": version.tasks, "labels": version.labels}
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, beside / "labels.safetensors")
            about = {**vars(version), "head": version.head is not None, "labels": len(version.labels)}
            about.pop("tasks")
            write_json(beside / "version.json", about)
            for path in beside.iterdir():
                sync(path)
            beside.rename(self.folder / version.name)
            sync(self.folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def about(self, name: str) -> dict[str, Any]:
        """version.json of `name`: all but its arrays; `labels` is their number. Raises VersionError."""
        about = read_json(self.folder / name / "version.json") if NAME.fullmatch(name) else None
        if not isinstance(about, dict) or not about.keys() >= WRITTEN:
            raise VersionError(f"No version {name!r} on disk. There are: {', '.join(self.names()) or 'none yet'}.")
        return about

    def load(self, name: str) -> Version:
        """The version `name`. Raises VersionError where it is absent or broken."""
        from model.head import Head  # brings scipy and sklearn, which commands that only list versions do without

        about = self.about(name)
        try:
            head = Head.load(self.folder / name / "head.safetensors") if about["head"] else None
            arrays = load_file(self.folder / name / "labels.safetensors")
            return Version(**(about | {"head": head} | arrays))
        except Exception as error:
            raise VersionError(f"Version {name!r} cannot be read ({error}). Retrain to replace it.") from error

    def remove(self, name: str) -> None:
        """Remove the version `name`; one that is gone already is fine."""
        if NAME.fullmatch(name):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def prune(self, keep: int, needed: Iterable[str]) -> list[str]:
        """Remove all but the newest `keep` versions and those `needed`; returns the names removed."""
        spared = {*self.names()[max(0, len(self.names()) - keep) :], *needed}
        gone = [name for name in self.names() if name not in spared]
        for name in gone:
            self.remove(name)
        return gone


def fingerprint(tasks: NDArray[np.int64], labels: NDArray[np.int64], target: dict[str, Any]) -> str:
    """A hash of a set of labels and the classes they are drawn from; equal sets in any order have the same."""
    order = np.argsort(tasks)
    digest = hashlib.blake2b(json.dumps(target, sort_keys=True).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(tasks[order]).tobytes())
    digest.update(np.ascontiguousarray(labels[order]).tobytes())
    return digest.hexdigest()
