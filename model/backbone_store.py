"""The backbones of one project, each with its embeddings: the wanted base, earlier bases, and those retrained on its labels."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.backbone import BackboneSpec, backbone_name
from model.backbone_note import BackboneNote, note_file, read_note, write_note
from model.embedding_store import EmbeddingStore
from model.files import sync
from model.networks import network
from model.weights_file import WeightsError


@dataclass(frozen=True)
class About:
    """How a backbone was retrained. tasks: ids of the tasks it has seen, learned and stopped on; a base has seen none."""

    depth: str = ""
    tasks: tuple[int, ...] = ()


def noted_backbone(folder: Path, name: str, old_weights: Path | None = None) -> BackboneSpec:
    """What `load_backbone` takes to load the backbone `name` of the project in `folder`, as the note on it says.

    old_weights: the file, None for torchvision's, of a ResNet50 whose embeddings are from before notes were kept. Raises
    WeightsError where its weights are gone, or are others by now.
    """
    noted, own = read_note(note_file(folder, name)), _weights_file(folder, name)
    note = noted or BackboneNote()
    if own.is_file():
        return BackboneSpec(note.network, own, note.preprocessing, note.arithmetic)
    weights = (Path(note.weights) if note.weights else None) if noted else old_weights
    spec = BackboneSpec(note.network, weights, note.preprocessing, note.arithmetic)
    if note.depth or backbone_name(spec) != name:
        raise WeightsError(f"The weights of backbone {name} are gone: retrain.")
    return spec


def kept_embeddings(folder: Path, name: str) -> EmbeddingStore:
    """The embeddings of the backbone `name` of the project in `folder`, for those who only read: its weights may be gone."""
    store = EmbeddingStore(folder / "embeddings" / name, (read_note(note_file(folder, name)) or BackboneNote()).width)
    store.refresh()
    return store


class BackboneStore:
    """Backbones under `folder`. Embeddings of two are never mixed.

    wanted, wanted_name: the base that new versions are to have; old_weights: see `noted_backbone`.
    """

    def __init__(self, folder: Path, wanted: BackboneSpec, old_weights: Path | None = None) -> None:
        self._folder = folder
        self._files = folder / "backbones"
        self._embeddings = folder / "embeddings"
        self._old_weights = old_weights
        self.wanted = wanted
        self.wanted_name = backbone_name(wanted)

    def has(self, name: str) -> bool:
        """Whether it can be loaded: its weights are here."""
        try:
            self.spec(name)
        except WeightsError:
            return False
        return True

    def spec(self, name: str) -> BackboneSpec:
        """What `load_backbone` takes to load it. Raises WeightsError where its weights are gone, or are others by now."""
        return self.wanted if name == self.wanted_name else noted_backbone(self._folder, name, self._old_weights)

    def note(self, name: str) -> BackboneNote | None:
        """From what it was made, None where nothing was noted."""
        return read_note(note_file(self._folder, name))

    def about(self, name: str) -> About:
        """How it was retrained."""
        note = self.note(name)
        return About(note.depth, note.tasks) if note else About()

    def retrained_from(self, name: str) -> str:
        """Name of the backbone it was retrained from, "" for a base and where that is not known."""
        note = self.note(name)
        return note.base if note else ""

    def embeddings(self, name: str) -> EmbeddingStore:
        """Its embeddings of this project's images. Whoever asks may add to them, so what they are made from is noted first."""
        note = self.note(name)
        moved = note and name == self.wanted_name and note.weights != _path(self.wanted)
        if (not note and self.has(name)) or moved:
            note = _note_of(self.spec(name))
            write_note(note_file(self._folder, name), note)
        store = EmbeddingStore(self._embeddings / name, (note or BackboneNote()).width)
        store.refresh()
        return store

    def unseen(self, name: str, tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `tasks`, int64 of shape (n,), it has never seen: only on those it can be judged."""
        return ~np.isin(tasks, np.array(self.about(name).tasks, np.int64))

    def adopt(self, file: Path, name: str, about: About, base: BackboneSpec | None = None) -> None:
        """Take in a backbone that was retrained from `base`, or from the wanted one: `file` is moved, and there for good once
        this returns."""
        base = base or self.wanted
        note = BackboneNote(
            network=base.network,
            preprocessing=base.preprocessing,
            arithmetic=base.arithmetic,
            width=network(base.network).width,
            depth=about.depth,
            tasks=about.tasks,
            base=backbone_name(base),
        )
        write_note(note_file(self._folder, name), note)
        file.replace(_weights_file(self._folder, name))
        sync(self._files)

    def collect(self, needed: Iterable[str]) -> list[str]:
        """Remove weights and embeddings of all backbones but those `needed`; returns their names. Files of bases stay."""
        keep = set(needed)
        gone = {path.stem for path in self._files.glob("[!.]*")} | {path.name for path in self._embeddings.glob("[!.]*")}
        for name in gone - keep:
            _weights_file(self._folder, name).unlink(missing_ok=True)
            note_file(self._folder, name).unlink(missing_ok=True)
            shutil.rmtree(self._embeddings / name, ignore_errors=True)
        return sorted(gone - keep)

    def clear(self) -> None:
        """Remove everything: the project is another one."""
        shutil.rmtree(self._files, ignore_errors=True)
        shutil.rmtree(self._embeddings, ignore_errors=True)


def _weights_file(folder: Path, name: str) -> Path:
    """Where a backbone's own weights lie, those of one that was retrained."""
    return folder / "backbones" / f"{name}.safetensors"


def _note_of(spec: BackboneSpec) -> BackboneNote:
    return BackboneNote(spec.network, _path(spec), spec.preprocessing, spec.arithmetic, network(spec.network).width)


def _path(spec: BackboneSpec) -> str:
    return str(spec.weights.resolve()) if spec.weights else ""
