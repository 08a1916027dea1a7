"""One project at hand: its state, index, embeddings and versions beside Label Studio's view of it."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from backend.labelstudio.labelling_config import Target, parse_label_config
from backend.learning.random_sample import RandomSample, random_sample, strata_from
from backend.learning.rounds import Labelled, Pool, Rules
from backend.project.index import LABELLED, UNLABELLED, Index, Row, image_reference
from backend.project.references import References
from backend.project.state import Projects, ProjectState
from backend.settings import Settings
from model.backbone_store import BackboneStore
from model.embedding_store import embedding_key
from model.files import read_json, write_json
from model.head import Head
from model.version_store import Version, VersionError, VersionStore

log = logging.getLogger(__name__)
STRATA = "random_sample.json"  # in a project's folder: the levels of its imports, see backend/learning/random_sample.py
Progress = Callable[..., None]  # (step, done, total), and what else the job's meta should tell


class Session:
    """Opens everything about `project`; close it after use, or use it as a context manager."""

    def __init__(self, settings: Settings, project: int, progress: Progress = lambda *_, **__: None) -> None:
        self.settings = settings
        self.project = project
        self.progress = progress
        self.projects = Projects(settings.data_dir)
        self.projects.prepare()
        folder = self.projects.folder(project)
        self.label_studio = LabelStudio(settings)
        self.images = ImageSource(settings, self.label_studio)
        self.index = Index(folder / "index.sqlite")
        self.versions = VersionStore(folder / "versions", self.projects.identity()[:3])
        self.finetuning = folder / "finetune"
        self.backbones = BackboneStore(folder, settings.model_weights)
        self.state: ProjectState = self.projects.read(project)
        self.use_backbone(self._backbone_of_live())
        self.info: dict[str, Any] = {}
        self._target: Target | None = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()
        self.label_studio.http.close()
        self.images.close()

    def reread(self) -> None:
        """Take up what other processes have changed in the project's state since, the live version's backbone too."""
        self.state = self.projects.read(self.project)
        self.use_backbone(self._backbone_of_live())

    def use_backbone(self, name: str) -> None:
        """Work with the embeddings of the backbone `name`; at first that is the live version's."""
        self.backbone = name
        self.store = self.backbones.embeddings(name)

    def _backbone_of_live(self) -> str:
        """The live version's backbone, or the base where there is none or its weights are gone."""
        try:
            name = self.versions.about(self.state.live)["backbone"]
        except VersionError:
            return self.backbones.base
        return name if self.backbones.has(name) else self.backbones.base

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
        self._target = parse_label_config(self.info["label_config"], self.state.control)
        return self.info

    def use_config(self, label_config: str | None) -> None:
        """Take the labelling config from a request instead of asking Label Studio."""
        if label_config:
            self._target = parse_label_config(label_config, self.state.control)

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
            self.backbones.clear()
            self.use_backbone(self.backbones.base)
            shutil.rmtree(self.finetuning, ignore_errors=True)
            (self.projects.folder(self.project) / STRATA).unlink(missing_ok=True)
            self.index.clear()
            with self.edit() as state:
                state.start_over()
        if self.state.created_at != created:
            with self.edit() as state:
                state.created_at = created

    def fits(self, version: Version) -> bool:
        """Whether `version` speaks of the classes asked for now, and its backbone is here."""
        return version.target == self.target.as_dict() and self.backbones.has(version.backbone)

    def labelled(self) -> Labelled:
        """The labelled images, as far as they have embeddings."""
        return self._labelled_and_pool(False)[0]

    def labelled_and_pool(self) -> tuple[Labelled, Pool]:
        """The labelled images and the unlabelled, unskipped ones, as far as they have embeddings."""
        return self._labelled_and_pool(True)

    def _labelled_and_pool(self, whole: bool) -> tuple[Labelled, Pool]:
        rows = self.index.rows()
        self.store.refresh()
        wanted = np.array([whole or row.state == LABELLED for row in rows], bool)
        embeddings, there = self.store.get([row.key for row, want in zip(rows, wanted, strict=True) if want])
        at = np.cumsum(wanted) - 1  # where a wanted row's embedding is
        found = wanted.copy()
        found[wanted] = there
        states = np.array([row.state for row in rows], "U10")
        tasks = np.array([row.task for row in rows], np.int64)
        numbers = {name: number for number, name in enumerate(self.target.classes)}
        labels = np.array([numbers.get(row.label or "", -1) for row in rows], np.int64)
        usable = (states == LABELLED) & (labels >= 0)
        unreadable = np.array([row.error is not None for row in rows], bool) & ~found
        left = ((states != UNLABELLED) & ~usable) | unreadable
        sample = self._random_sample(tasks, usable & ~left, left)
        taught = np.flatnonzero(usable & found)
        pool = np.flatnonzero((states == UNLABELLED) & found)
        unseen = self.backbones.unseen(self.backbone, tasks[taught])
        known = (tasks[taught], labels[taught], embeddings[at[taught]], sample.weights[taught], unseen)
        return Labelled(*known, sample.unjudged), Pool(tasks[pool], embeddings[at[pool]], sample.turns[pool])

    def _random_sample(self, tasks: NDArray[np.int64], labelled: NDArray[np.bool_], left: NDArray[np.bool_]) -> RandomSample:
        """The random sample, whose strata are kept in a file: without it, tasks imported later would break the sample once."""
        path = self.projects.folder(self.project) / STRATA
        kept = read_json(path)
        sample = random_sample(tasks, labelled, left, self.settings.explore, strata_from(kept))
        strata = [asdict(stratum) for stratum in sample.strata]
        if strata != kept:
            write_json(path, strata)
        return sample

    def rules(self) -> Rules:
        """How this project's queue is drawn."""
        s = self.settings
        return Rules(self.state.strategy or s.strategy, s.queue_size, s.explore, s.retrain_after)

    def write_version(self, labelled: Labelled, head: Head | None, metrics: dict[str, Any]) -> str:
        """Put what was learned from `labelled` on disk as a version that nothing follows yet; returns its name."""
        name = self.versions.new_name(self.label_studio.prediction_counts(self.project))
        newest = max((row.task for row in self.index.rows()), default=0)
        about = (name, time.time(), self.target.as_dict(), self.backbone, self.rules().strategy)
        self.versions.write(Version(*about, head, labelled.tasks, labelled.labels, newest, metrics))
        return name

    def collect_backbones(self) -> None:
        """Remove backbones and embeddings that no version on disk and no job needs any more."""
        state = self.projects.read(self.project)
        needed = {self.backbone, self._backbone_of_live(), state.candidate, state.promoting}
        for name in self.versions.names():
            with suppress(VersionError):
                needed.add(self.versions.about(name)["backbone"])
        for name in self.backbones.collect(needed):
            log.info("Project %s: removed backbone %s and its embeddings", self.project, name)

    def as_row(self, task: dict[str, Any]) -> Row:
        """A task as Label Studio sends it to /predict."""
        reference, error = image_reference(task["data"], self.target)
        return Row(task["id"], reference, embedding_key(task["id"], reference), UNLABELLED, None, error)

    def reference(self, row: Row) -> str:
        """The whole image reference of `row`. Raises ImageError where there is none any more, LabelStudioError."""
        return References(self, [row]).of(row)
