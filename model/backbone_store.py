"""The backbones of one project, each with its embeddings: the wanted base, earlier bases, and those retrained on its labels."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.backbone_files import BackboneFiles
from model.backbone_note import BackboneNote
from model.embeddings.embedding_store import EmbeddingStore
from model.networks import network
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import WeightsError
from model.storage.documents_in_bucket import FRESH_SECONDS
from model.storage.mirror import Mirror


@dataclass(frozen=True)
class About:
    """How a backbone was retrained. tasks: ids of the tasks it has seen, learned and stopped on; a base has seen none."""

    depth: str = ""
    tasks: tuple[int, ...] = ()


def noted_backbone(folder: Path, name: str, old_weights: Path | None = None, mirror: Mirror | None = None) -> BackboneSpec:
    """What `load_backbone` takes to load the backbone `name` of the project in `folder`, as the note on it says.

    old_weights: the file, None for torchvision's, of a ResNet50 whose embeddings are from before notes were kept; mirror: of
    `folder`. Raises WeightsError where its weights are gone, or are others by now.
    """
    files = BackboneFiles(folder, mirror)
    noted = files.note(name)
    note = noted or BackboneNote()
    weights = (Path(note.weights) if note.weights else None) if noted else old_weights
    spec = BackboneSpec(note.network, weights, note.preprocessing, note.arithmetic)
    if not note.depth and _is_named(spec, name):
        return spec
    if own := files.weights(name):
        return replace(spec, weights=own)
    raise WeightsError(f"The weights of backbone {name} are gone: retrain.")


def kept_embeddings(folder: Path, name: str, mirror: Mirror | None = None) -> EmbeddingStore:
    """The embeddings of the backbone `name` of the project in `folder`, for those who only read: its weights may be gone.

    mirror: of `folder`.
    """
    store = _embeddings(folder, name, BackboneFiles(folder, mirror).note(name), mirror)
    store.refresh(age=FRESH_SECONDS)
    return store


class BackboneStore:
    """Backbones under `folder`. Embeddings of two are never mixed.

    wanted, wanted_name: the base that new versions are to have; old_weights: see `noted_backbone`; mirror: of `folder`, where
    other machines work on the same project: every method may then raise StoreUnavailable.
    """

    def __init__(
        self, folder: Path, wanted: BackboneSpec, old_weights: Path | None = None, mirror: Mirror | None = None
    ) -> None:
        self._folder = folder
        self._mirror = mirror
        self._files = BackboneFiles(folder, mirror)
        self._old_weights = old_weights
        self.wanted = self._with_kept_weights(wanted)
        self.wanted_name = backbone_name(self.wanted)

    def _with_kept_weights(self, wanted: BackboneSpec) -> BackboneSpec:
        """The same base with the weights that another machine keeps for all, where its file is not on this one."""
        if not self._mirror or not wanted.weights or wanted.weights.is_file():
            return wanted
        notes = {name: note for name in self._files.names() if (note := self._files.note(name))}
        named = [name for name, note in notes.items() if note == _note_of(wanted)]
        kept = self._files.weights(named[0]) if len(named) == 1 else None  # of two, nobody knows which it holds by now
        return replace(wanted, weights=kept) if kept else wanted

    def has(self, name: str) -> bool:
        """Whether it can be loaded: its weights are here, or where all machines find them."""
        if self._mirror and name != self.wanted_name and self._files.has_weights(name):
            return True
        try:
            self.spec(name)
        except WeightsError:
            return False
        return True

    def spec(self, name: str) -> BackboneSpec:
        """What `load_backbone` takes to load it. Raises WeightsError where its weights are gone, or are others by now."""
        if name == self.wanted_name:
            return self.wanted
        return noted_backbone(self._folder, name, self._old_weights, self._mirror)

    def note(self, name: str) -> BackboneNote | None:
        """From what it was made, None where nothing was noted."""
        return self._files.note(name)

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
        if (not note and self.has(name)) or (note and name == self.wanted_name and self._is_elsewhere(note)):
            note = self.keep(name)
        store = _embeddings(self._folder, name, note, self._mirror)
        store.refresh(age=FRESH_SECONDS)
        return store

    def keep(self, name: str) -> BackboneNote:
        """Note from what the base `name` is made, for all machines, and keep its file of weights for them; returns the note."""
        spec = self.spec(name)
        self._files.write(name, note := _note_of(spec), spec.weights)
        return note

    def _is_elsewhere(self, note: BackboneNote) -> bool:
        """Whether the wanted base's weights are not where its note says, or not yet where other machines find them."""
        if self._mirror:
            return self.wanted.weights is not None and not self._files.has_weights(self.wanted_name)
        return note.weights != _path(self.wanted)

    def unseen(self, name: str, tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `tasks`, int64 of shape (n,), it has never seen: only on those it can be judged."""
        return ~np.isin(tasks, np.array(self.about(name).tasks, np.int64))

    def adopt(self, file: Path, name: str, about: About, base: BackboneSpec | None = None) -> None:
        """Take in a backbone that was retrained from `base`, or from the wanted one: `file` is moved, and there for good,
        for all machines, once this returns."""
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
        self._files.adopt(name, note, file)

    def collect(self, needed: Iterable[str]) -> list[str]:
        """Remove weights and embeddings of all backbones but those `needed`; returns their names. Files of bases stay."""
        gone = sorted(self._files.all_names() - set(needed))
        for name in gone:
            self._files.remove(name)
        return gone

    def clear(self) -> None:
        """Remove everything: the project is another one."""
        self._files.clear()


def _embeddings(folder: Path, name: str, note: BackboneNote | None, mirror: Mirror | None) -> EmbeddingStore:
    width, below = (note or BackboneNote()).width, f"embeddings/{name}"
    return EmbeddingStore(folder / below, width, mirror and mirror.within(below))


def _note_of(spec: BackboneSpec) -> BackboneNote:
    return BackboneNote(spec.network, _path(spec), spec.preprocessing, spec.arithmetic, network(spec.network).width)


def _path(spec: BackboneSpec) -> str:
    return str(spec.weights.resolve()) if spec.weights else ""


def _is_named(spec: BackboneSpec, name: str) -> bool:
    """Whether the weights of `spec` can be had and are those of the backbone `name`."""
    try:
        return backbone_name(spec) == name
    except WeightsError:
        return False
