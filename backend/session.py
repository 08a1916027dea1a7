"""One project at hand: its state, index, embeddings and versions beside Label Studio's view of it."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
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
from model.versions import Version, VersionStore
from strategies.slots import random_sample, slot_order

log = logging.getLogger(__name__)
BATCH = 16  # images through the network at once
SHARD = 128  # images per shard: what a crash can cost
FETCHERS = 8
_network = threading.Lock()  # one batch at a time: requests that race for the processors are all slower
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
        self.images.close()

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
        self._read_tasks(self.index.note("synced_to"))
        if self.index.count() != self.info["task_number"]:
            there = self.label_studio.task_ids(self.project)
            self.index.keep_only(there)
            if self.index.count() < len(there):
                self._read_tasks("")

    def _read_tasks(self, since: str) -> None:
        """Take in tasks changed since `since`, "" for all. How far it got counts only once the last page is in."""
        done, newest = 0, since
        for page in self.label_studio.tasks(self.project, since):
            self.index.update(page, self.target)
            newest = max([newest, *(task["updated_at"] for task in page)])
            done += len(page)
            self.progress("reading tasks", done, max(done, 0 if since else self.info["task_number"]))
        self.index.set_note("synced_to", newest)

    def _check_identity(self) -> None:
        """Another project under the same id, as after a new installation of Label Studio, starts from nothing."""
        created = self.info["created_at"]
        known = self.state.created_at
        if known and datetime.fromisoformat(known) != datetime.fromisoformat(created):
            log.warning("Project %s is not the one known here: its old versions and embeddings are removed", self.project)
            shutil.rmtree(self.versions.folder, ignore_errors=True)
            shutil.rmtree(self.store.folder.parent, ignore_errors=True)
            self.store.refresh()
            self.index.clear()
            with self.edit() as state:
                state.live, state.followed, state.trained, state.target = "", "", "", {}
        if self.state.created_at != created:
            with self.edit() as state:
                state.created_at = created

    def fits(self, version: Version) -> bool:
        """Whether `version` speaks of the classes asked for now, and of embeddings of the backbone used now."""
        return version.target == self.target.as_dict() and version.backbone == self.backbone_name

    def unembedded(self) -> tuple[list[Row], list[Row]]:
        """Tasks that have no embedding and may be tried: the labelled ones, and the others in the order of random slots."""
        due = self.index.due()
        rows = [row for row in self.index.rows() if row.task in due and row.state != UNUSABLE]
        self.store.refresh()
        missing = set(self.store.missing([row.key for row in rows]))
        rows = [row for row in rows if row.key in missing]
        labelled = [row for row in rows if row.state == LABELLED]
        others = [row for row in rows if row.state != LABELLED]
        order = slot_order(np.array([row.task for row in others], np.int64))
        return labelled, [others[i] for i in order]

    def embed(self, rows: Sequence[Row], seconds: float = float("inf")) -> int:
        """Embed the images of `rows`, shard by shard, for about `seconds`; returns how many were tried.

        An image that cannot be read is noted with its reason and passed over. Raises LabelStudioError, WeightsError.
        """
        if not rows:
            return 0
        deadline, tried = time.monotonic() + seconds, 0
        self.progress("loading ResNet50", 0, 1)
        backbone = get_backbone(self.settings.model_weights)
        with ThreadPoolExecutor(FETCHERS) as pool:
            for shard in batched(rows, SHARD):
                tensors = pool.map(partial(self._tensor, deadline=deadline), shard)
                embedded: list[tuple[int, np.ndarray]] = []
                errors: dict[int, str | None] = {}
                for batch in batched(zip(shard, tensors, strict=True), BATCH):
                    good = [(row, tensor) for row, tensor in batch if isinstance(tensor, torch.Tensor)]
                    errors |= {row.task: str(reason) for row, reason in batch if isinstance(reason, ImageError)}
                    errors |= {row.task: None for row, _ in good if row.error}
                    if good:
                        with _network:
                            values = backbone.embed(torch.stack([tensor for _, tensor in good]))
                        embedded += [(row.key, value) for (row, _), value in zip(good, values, strict=True)]
                    tried += sum(tensor is not None for _, tensor in batch)
                    self.progress("embedding images", tried, len(rows))
                if embedded:
                    self.store.add([key for key, _ in embedded], np.stack([value for _, value in embedded]))
                self._note_errors(errors)
                if time.monotonic() > deadline:
                    break
        self.store.refresh()
        return tried

    def _tensor(self, row: Row, deadline: float) -> torch.Tensor | ImageError | None:
        """The image of a task, why it cannot be read, or None where time is up."""
        if time.monotonic() > deadline:
            return None
        try:
            return to_tensor(self.images.fetch(row.task, row.reference), self.settings.max_image_pixels)
        except ImageError as error:
            return error

    def _note_errors(self, errors: dict[int, str | None]) -> None:
        for task, reason in errors.items():
            if reason:
                log.warning("Project %s, task %s: %s", self.project, task, reason)
        self.index.set_errors(errors)

    def labelled_and_pool(self) -> tuple[Labelled, Pool]:
        """The labelled images and the unlabelled, unskipped ones, as far as they have embeddings."""
        rows = self.index.rows()
        self.store.refresh()
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

    def as_row(self, task: dict[str, Any]) -> Row:
        """A task as Label Studio sends it to /predict."""
        reference = str(task["data"].get(self.target.data_key) or "")
        return Row(task["id"], reference, embedding_key(task["id"], reference), UNLABELLED, None, None)
