"""Model versions, on disk or in a bucket: each a folder that appears whole, named al-{n}-{6 hex}."""

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

from model.storage.files import read_json, sync, write_json
from model.storage.mirror import Mirror

if TYPE_CHECKING:
    from model.heads.head import Head

NO_VERSION = "al-0"  # what predictions are named before the first round
WRITTEN = {"name", "created", "target", "backbone", "strategy", "head", "labels", "newest_task", "metrics"}  # in version.json
ABOUT, HEAD, LABELS = "version.json", "head.safetensors", "labels.safetensors"  # a version is there once the first is
NAME = re.compile(r"al-(\d+)-([0-9a-f]{6})")


class VersionError(LookupError):
    """A version that is not there or cannot be read; the message names those that can."""


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
    mirror: of `folder`, where other machines write versions too; every method may then raise StoreUnavailable.
    """

    def __init__(self, folder: Path, mark: str = "", mirror: Mirror | None = None) -> None:
        self.folder = folder
        self.mark = mark
        self._mirror = mirror

    def names(self, certain: bool = False) -> list[str]:
        """Names of the versions there are, oldest first. certain: see `Mirror.listing`."""
        if self._mirror:
            paths = map(Path, self._mirror.listing(certain=certain).names)
            there = [path.parent.name for path in paths if path.name == ABOUT]
        else:
            there = [path.parent.name for path in self.folder.glob(f"*/{ABOUT}")]
        return sorted(filter(NAME.fullmatch, there), key=_number)

    def new_name(self, taken: Iterable[str] = ()) -> str:
        """A name above all there are and all `taken` elsewhere, never given before."""
        numbers = [_number(name) for name in filter(NAME.fullmatch, [*self.names(), *taken])]
        return f"al-{max(numbers, default=0) + 1}-{self.mark}{secrets.token_hex(3)[len(self.mark) :]}"

    def owns(self, name: str) -> bool:
        """Whether the version `name` was made here, even where it is no longer kept: it has the mark, or it is there."""
        match = NAME.fullmatch(name)
        return match is not None and (match[2].startswith(self.mark) or (self.folder / name).is_dir() or name in self.names())

    def write(self, version: Version) -> None:
        """Keep `version`, whole or not at all. Raises VersionError on a name not of our kind."""
        if not NAME.fullmatch(version.name):
            raise VersionError(f"{version.name!r} is no version name, such as al-3-0a1b2c.")
        beside = self.folder / f".{uuid.uuid4().hex}.tmp"
        beside.mkdir(parents=True)
        try:
            if version.head:
                version.head.save(beside / HEAD)
            arrays = {"tasks": version.tasks, "labels": version.labels}
            save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, beside / LABELS)
            about = {**vars(version), "head": version.head is not None, "labels": len(version.labels)}
            about.pop("tasks")
            write_json(beside / ABOUT, about)
            for path in beside.iterdir():
                sync(path)
            if self._mirror and version.name in self.names(certain=True):
                raise FileExistsError(f"{self._mirror.place}/{version.name} is not empty")
            beside.rename(self.folder / version.name)
            sync(self.folder)
            if self._mirror:
                for name in (*_arrays(about), ABOUT):
                    self._mirror.put(f"{version.name}/{name}")
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def about(self, name: str) -> dict[str, Any]:
        """version.json of `name`: all but its arrays; `labels` is their number. Raises VersionError."""
        about = self._about(name) if NAME.fullmatch(name) else None
        if about is None:
            where = "in STORE" if self._mirror else "on disk"
            raise VersionError(f"No version {name!r} {where}. There are: {', '.join(self.names()) or 'none yet'}.")
        return about

    def _about(self, name: str) -> dict[str, Any] | None:
        """As `about`, None where there is none or it is damaged."""
        path = self.folder / name / ABOUT
        if not self._mirror:
            return _description(path)
        if not self._mirror.copy(f"{name}/{ABOUT}"):
            return None
        found = _description(path)
        if found is None and self._mirror.fetch_again(f"{name}/{ABOUT}"):
            found = _description(path)
        return found

    def load(self, name: str) -> Version:
        """The version `name`. Raises VersionError where it is absent or broken."""
        about = self.about(name)
        if self._mirror:
            files = [f"{name}/{file}" for file in _arrays(about)]
            self._mirror.fetch(files)
            try:
                return self._read(name, about)
            except VersionError:
                for file in files:  # the copy is damaged, or was thrown away meanwhile
                    self._mirror.fetch_again(file)
        return self._read(name, about)

    def _read(self, name: str, about: dict[str, Any]) -> Version:
        from model.heads.head import Head  # brings scipy and sklearn, which commands that only list versions do without

        folder = self.folder / name
        try:
            head = Head.load(folder / HEAD) if about["head"] else None
            return Version(**(about | {"head": head} | load_file(folder / LABELS)))
        except Exception as error:
            raise VersionError(f"Version {name!r} cannot be read ({error}). Retrain to replace it.") from error

    def remove(self, name: str) -> None:
        """Remove the version `name`; one that is gone already is fine."""
        if not NAME.fullmatch(name):
            return
        if self._mirror:
            files = self._mirror.listing(certain=True).names
            self._mirror.remove(f"{name}/{ABOUT}", *(file for file in files if file.startswith(f"{name}/")))
        shutil.rmtree(self.folder / name, ignore_errors=True)

    def prune(self, keep: int, needed: Iterable[str]) -> list[str]:
        """Remove all but the newest `keep` versions and those `needed`; returns the names removed."""
        names = self.names(certain=True)
        spared = {*names[max(0, len(names) - keep) :], *needed}
        gone = [name for name in names if name not in spared]
        for name in gone:
            self.remove(name)
        return gone

    def clear(self) -> None:
        """Remove all of them: the project is another one."""
        if self._mirror:
            self._mirror.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def _number(name: str) -> int:
    """The number in the name of a version, by which they are ordered."""
    return int(name.split("-")[1])


def _arrays(about: dict[str, Any]) -> list[str]:
    """The files of a version besides its description."""
    return [HEAD, LABELS] if about["head"] else [LABELS]


def _description(path: Path) -> dict[str, Any] | None:
    """What a version.json says, None where it is none."""
    about = read_json(path)
    return about if isinstance(about, dict) and about.keys() >= WRITTEN else None


def fingerprint(tasks: NDArray[np.int64], labels: NDArray[np.int64], target: dict[str, Any]) -> str:
    """A hash of a set of labels and the classes they are drawn from; equal sets in any order have the same."""
    order = np.argsort(tasks)
    digest = hashlib.blake2b(json.dumps(target, sort_keys=True).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(tasks[order]).tobytes())
    digest.update(np.ascontiguousarray(labels[order]).tobytes())
    return digest.hexdigest()
