"""One project at hand: its state, index, embeddings and versions beside Label Studio's view of it."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.imagesource import ImageSource
from backend.index import LABELLED, SKIPPED, UNLABELLED, UNUSABLE, Index, Row
from backend.labelconfig import Target, parse_label_config
from backend.labelstudio import LabelStudio
from backend.projects import Projects, ProjectState
from backend.rounds import Labelled, Pool, Rules
from backend.settings import Settings
from model.backbone import DIMENSIONS, Backbone, backbone_name, load_backbone
from model.embeddings import EmbeddingStore, embedding_key
from model.images import ImageError, to_tensor
from model.versions import VersionStore
from strategies.slots import random_sample

log = logging.getLogger(__name__)
BATCH = 16  # images through the network at once
SHARD = 128  # images per shard: what a crash can cost
FETCHERS = 8
Progress = Callable[[str, int, int], None]


@lru_cache(maxsize=1)
def get_backbone(weights: Path | None) -> Backbone:
    """The backbone, loaded once per process."""
    return load_backbone(weights)


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items each (itertools.batched, which Python 3.11 lacks)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


class Session:
    """Opens everything about `project`; close it after use, or use it as a context manager."""

    def __init__(self, settings: Settings, project: int, progress: Progress = lambda *_: None) -> None:
        self.settings = settings
        self.project = project
        self.progress = progress
        self.projects = Projects(settings.data_dir)
        self.projects.prepare()
        folder = self.projects.folder(project)
        self.label_studio = LabelStudio(settings)
        self.images = ImageSource(settings, self.label_studio)
        self.index = Index(folder / "index.sqlite")
        self.versions = VersionStore(folder / "versions")
        self.backbone_name = backbone_name(settings.model_weights)
        self.store = EmbeddingStore(folder / "embeddings" / self.backbone_name, DIMENSIONS)
        self.store.refresh()
        self.state: ProjectState = self.projects.read(project)
        self.info: dict[str, Any] = {}
        self._target: Target | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()
        self.label_studio.http.close()

    @property
    def target(self) -> Target:
        """What the labelling config asks, as of the last `look`."""
        if self._target is None:
            self.look()
        assert self._target  # noqa: S101
        return self._target

    @contextmanager
    def edit(self) -> Iterator[ProjectState]:
        """Change the project's state on disk, and see the change here."""
        with self.projects.edit(self.project) as state:
            yield state
        self.state = state

    def look(self) -> dict[str, Any]:
        """Read the project's settings from Label Studio. Raises LabelStudioError, LabelConfigError."""
        self.info = self.label_studio.project(self.project)
        self._target = parse_label_config(self.info["label_config"])
        return self.info

    def use_config(self, label_config: str | None) -> None:
        """Take the labelling config from a request instead of asking Label Studio."""
        if label_config:
            self._target = parse_label_config(label_config)

    def sync(self) -> None:
        """Bring the index up to what Label Studio holds now."""
        self.look()
        self._check_identity()
        stamp = json.dumps(self.target.as_dict())
        if self.index.note("target") != stamp:
            self.index.clear()
            self.index.set_note("target", stamp)
        self._read_tasks(self.index.newest_change())
        if self.index.count() != self.info["task_number"]:
            there = self.label_studio.task_ids(self.project)
            self.index.keep_only(there)
            if self.index.count() < len(there):
                self._read_tasks("")

    def _read_tasks(self, since: str) -> None:
        done = 0
        for page in self.label_studio.tasks(self.project, since):
            self.index.update(page, self.target)
            done += len(page)
            self.progress("reading tasks", done, max(done, 0 if since else self.info["task_number"]))

    def _check_identity(self) -> None:
        """Another project under the same id, as after a new installation of Label Studio, starts from nothing."""
        created = self.info["created_at"]
        if self.state.created_at and self.state.created_at != created:
            log.warning("Project %s is not the one known here: its old versions and embeddings are removed", self.project)
            shutil.rmtree(self.versions.folder, ignore_errors=True)
            shutil.rmtree(self.store.folder.parent, ignore_errors=True)
            self.store.refresh()
            self.index.clear()
            with self.edit() as state:
                state.live, state.trained, state.target, state.summary = "", "", {}, {}
        if self.state.created_at != created:
            with self.edit() as state:
                state.created_at = created

    def unembedded(self) -> list[Row]:
        """Tasks that have no embedding and may be tried: labelled ones first, then the pool in the order of random slots."""
        due = self.index.due()
        rows = [row for row in self.index.rows() if row.task in due and row.state != UNUSABLE]
        missing = set(self.store.missing([row.key for row in rows]))
        rows = [row for row in rows if row.key in missing]
        return sorted(rows, key=lambda row: (row.state != LABELLED, row.key))

    def embed(self, rows: Iterable[Row], seconds: float = float("inf")) -> int:
        """Embed the images of `rows`, shard by shard, for about `seconds`; returns how many were tried.

        An image that cannot be read is noted with its reason and passed over. Raises LabelStudioError, WeightsError.
        """
        rows = list(rows)
        if not rows:
            return 0
        started, tried = time.monotonic(), 0
        self.progress("loading ResNet50", 0, 1)
        backbone = get_backbone(self.settings.model_weights)
        with ThreadPoolExecutor(FETCHERS) as pool:
            for shard in batched(rows, SHARD):
                tensors = pool.map(self._tensor, shard)
                keys: list[int] = []
                values: list[np.ndarray] = []
                errors: dict[int, str | None] = {}
                for batch in batched(zip(shard, tensors, strict=True), BATCH):
                    good = [(row, tensor) for row, tensor in batch if isinstance(tensor, torch.Tensor)]
                    errors |= {row.task: str(reason) for row, reason in batch if isinstance(reason, ImageError)}
                    errors |= {row.task: None for row, _ in good if row.error}
                    if good:
                        values.append(backbone.embed(torch.stack([tensor for _, tensor in good])))
                        keys += [row.key for row, _ in good]
                    tried += len(batch)
                    self.progress("embedding images", tried, len(rows))
                if keys:
                    self.store.add(keys, np.vstack(values))
                for task, reason in errors.items():
                    if reason:
                        log.warning("Project %s, task %s: %s", self.project, task, reason)
                self.index.set_errors(errors)
                if time.monotonic() - started > seconds:
                    break
        self.store.refresh()
        return tried

    def _tensor(self, row: Row) -> torch.Tensor | ImageError:
        try:
            return to_tensor(self.images.fetch(row.task, row.reference), self.settings.max_image_pixels)
        except ImageError as error:
            return error

    def labelled_and_pool(self) -> tuple[Labelled, Pool]:
        """The labelled images and the unlabelled, unskipped ones, as far as they have embeddings."""
        rows = self.index.rows()
        embeddings, found = self.store.get([row.key for row in rows])
        states = np.array([row.state for row in rows], "U10")
        tasks = np.array([row.task for row in rows], np.int64)
        numbers = {name: number for number, name in enumerate(self.target.classes)}
        labels = np.array([numbers.get(row.label or "", -1) for row in rows], np.int64)
        # A skip or an unreadable image leaves the random sample for good; it must not hold up its end.
        reachable = np.array([row.error is None for row in rows], bool) if rows else np.zeros(0, bool)
        sampled = random_sample(tasks, (states == LABELLED) | (states == UNUSABLE) | (states == SKIPPED) | ~reachable)
        taught = (states == LABELLED) & found & (labels >= 0)
        pool = (states == UNLABELLED) & found
        return (
            Labelled(tasks[taught], labels[taught], embeddings[taught], sampled[taught]),
            Pool(tasks[pool], embeddings[pool]),
        )

    def rules(self) -> Rules:
        """How this project's queue is drawn."""
        s = self.settings
        return Rules(self.state.strategy or s.strategy, s.queue_size, s.explore, s.retrain_after)

    def key(self, task: dict[str, Any]) -> tuple[int, str]:
        """Embedding key and image reference of a task as Label Studio sends it to /predict."""
        reference = str(task["data"].get(self.target.data_key) or "")
        return embedding_key(task["id"], reference), reference
