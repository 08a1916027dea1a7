"""The backbones of one project, the base and those retrained on its labels, each with its embeddings."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.backbone import BackboneSpec, backbone_name
from model.embedding_store import EmbeddingStore
from model.files import read_json, sync, write_json
from model.networks import network
from model.weights_file import WeightsError


@dataclass(frozen=True)
class About:
    """How a backbone was retrained. tasks: ids of the tasks it has seen, learned and stopped on; the base has seen none."""

    depth: str = ""
    tasks: tuple[int, ...] = ()


class BackboneStore:
    """Backbones under `folder`; `base` is the one that the others were retrained from. Embeddings of two are never mixed."""

    def __init__(self, folder: Path, base: BackboneSpec) -> None:
        self._files = folder / "backbones"
        self._embeddings = folder / "embeddings"
        self._base = base
        self.base = backbone_name(base)

    def has(self, name: str) -> bool:
        """Whether its weights are here."""
        return name == self.base or self._file(name).is_file()

    def spec(self, name: str) -> BackboneSpec:
        """What `load_backbone` takes to load it. Raises WeightsError where its weights are gone."""
        if not self.has(name):
            raise WeightsError(f"The weights of backbone {name} are gone: retrain.")
        return self._base if name == self.base else replace(self._base, weights=self._file(name))

    def about(self, name: str) -> About:
        """How it was retrained."""
        found = read_json(self._file(name).with_suffix(".json"))
        try:
            return About(found["depth"], tuple(found["tasks"])) if found else About()
        except (TypeError, KeyError):
            return About()

    def embeddings(self, name: str) -> EmbeddingStore:
        """Its embeddings of this project's images."""
        store = EmbeddingStore(self._embeddings / name, network(self._base.network).width)
        store.refresh()
        return store

    def unseen(self, name: str, tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `tasks`, int64 of shape (n,), it has never seen: only on those it can be judged."""
        return ~np.isin(tasks, np.array(self.about(name).tasks, np.int64))

    def adopt(self, file: Path, name: str, about: About) -> None:
        """Take in a retrained backbone: `file` is moved, and there for good once this returns."""
        self._files.mkdir(parents=True, exist_ok=True)
        write_json(self._file(name).with_suffix(".json"), {"depth": about.depth, "tasks": list(about.tasks)})
        file.replace(self._file(name))
        sync(self._files)

    def collect(self, needed: Iterable[str]) -> list[str]:
        """Remove weights and embeddings of all backbones but those `needed`; returns their names. The base's file stays."""
        keep = set(needed)
        gone = {path.stem for path in self._files.glob("[!.]*")} | {path.name for path in self._embeddings.glob("[!.]*")}
        for name in gone - keep:
            self._file(name).unlink(missing_ok=True)
            self._file(name).with_suffix(".json").unlink(missing_ok=True)
            shutil.rmtree(self._embeddings / name, ignore_errors=True)
        return sorted(gone - keep)

    def clear(self) -> None:
        """Remove everything: the project is another one."""
        shutil.rmtree(self._files, ignore_errors=True)
        shutil.rmtree(self._embeddings, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._files / f"{name}.safetensors"
