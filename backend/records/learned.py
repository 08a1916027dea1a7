"""What was learned of a project: its versions, and its backbones with their embeddings, one of them in use."""

import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.learning.rounds import Labelled
from backend.records.history import History
from backend.records.state import ProjectState
from model.backbone_store import BackboneStore, noted_backbone
from model.embeddings.embedding_store import EmbeddingStore
from model.heads.head import Head
from model.networks.backbone import BackboneSpec
from model.networks.weights_file import WeightsError
from model.storage.documents import Documents
from model.storage.mirror import Mirror
from model.version_store import Version, VersionError, VersionStore

log = logging.getLogger(__name__)


class Learned:
    """The versions and backbones in the project's `folder`, with its history among its `documents`; `want` says which base is
    wanted, before anybody asks for them.

    old_weights: see BackboneStore; mark: what the names of versions written here bear; mirror: of `folder`.
    """

    backbones: BackboneStore

    def __init__(
        self, folder: Path, documents: Documents, old_weights: Path | None, mark: str, mirror: Mirror | None = None
    ) -> None:
        self.folder = folder
        self.versions = VersionStore(folder / "versions", mark, mirror and mirror.within("versions"))
        self.history = History(documents, self.versions)
        self.finetuning = folder / "finetune"
        self._old_weights, self._mirror = old_weights, mirror
        self._in_use = ""
        self._stores: dict[str, EmbeddingStore] = {}

    def want(self, base: BackboneSpec) -> None:
        """Have `base` as the wanted base: what a first version is made with, and what others are to come to."""
        self.backbones = BackboneStore(self.folder, base, self._old_weights, self._mirror)

    def stay_with(self, version: str) -> bool:
        """Have the backbone of `version` as the wanted one; returns whether it can be loaded."""
        try:
            name = str(self.versions.about(version)["backbone"])
            self.want(noted_backbone(self.folder, name, mirror=self._mirror))
        except (VersionError, WeightsError):
            return False
        return True

    @property
    def backbone(self) -> str:
        """The backbone in use: the one named last, at first the base."""
        return self._in_use or self.backbones.wanted_name

    @property
    def store(self) -> EmbeddingStore:
        """The embeddings of the backbone in use; the first use of each reads which there are."""
        if self.backbone not in self._stores:
            self._stores = {self.backbone: self.backbones.embeddings(self.backbone)}
        return self._stores[self.backbone]

    def use(self, backbone: str) -> None:
        """Work with the embeddings of `backbone`."""
        self._in_use = backbone

    def backbone_of(self, version: str) -> str:
        """The backbone of `version`, or the base where there is none or its weights are gone."""
        name = self._named_by(version)
        return name if name and self.backbones.has(name) else self.backbones.wanted_name

    def gone(self, version: str) -> str:
        """The backbone of `version` where its weights are gone, "" where they are here or there is no such version."""
        name = self._named_by(version)
        return "" if self.backbones.has(name) else name

    def _named_by(self, version: str) -> str:
        try:
            return str(self.versions.about(version)["backbone"])
        except VersionError:
            return ""

    def is_wanted(self, backbone: str) -> bool:
        """Whether `backbone` is the wanted base, or was retrained from it."""
        return self.backbones.wanted_name in (backbone, self.backbones.retrained_from(backbone))

    def write(
        self,
        name: str,
        labelled: Labelled,
        head: Head | None,
        metrics: dict[str, Any],
        *,
        target: dict[str, Any],
        strategy: str,
        newest_task: int,
    ) -> str:
        """Write what was learned from `labelled` as the version `name`, which nothing follows yet; returns the name. See
        Version for the rest."""
        version = Version(
            name=name,
            created=time.time(),
            target=target,
            backbone=self.backbone,
            strategy=strategy,
            head=head,
            tasks=labelled.tasks,
            labels=labelled.labels,
            newest_task=newest_task,
            metrics=metrics,
        )
        self.versions.write(version)
        return name

    def collect(self, state: ProjectState) -> list[str]:
        """Remove the backbones and embeddings that no version, and nothing in `state`, needs; returns their names."""
        live = self.backbone_of(state.live)
        needed = {self.backbone, live} | state.backbones() | (set() if self.is_wanted(live) else {self.backbones.wanted_name})
        for name in self.versions.names(certain=True):
            with suppress(VersionError):
                needed.add(self.versions.about(name)["backbone"])
        return self.backbones.collect(needed)

    def clear(self) -> None:
        """Remove everything: the project is another one under the same id."""
        self.versions.clear()
        shutil.rmtree(self.finetuning, ignore_errors=True)
        self.history.clear()
        self.backbones.clear()
        self._stores = {}
        self._in_use = ""
