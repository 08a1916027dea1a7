"""One project at hand: its state, index, embeddings and versions beside Label Studio's view of it."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from backend.index.accepted import sync_accepted
from backend.index.first_tasks import sync_first
from backend.index.index import UNLABELLED, Index, Row, image_reference
from backend.index.index_file import IndexLost
from backend.index.moments import moment_of
from backend.index.sync import sync_index
from backend.index.weighing import weigh_answers
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from backend.labelstudio.labelling_config import Target, parse_label_config
from backend.learning.ahead import First
from backend.learning.rounds import Labelled, Pool, Rules
from backend.project.arrays import labelled_and_pool
from backend.project.references import References
from backend.project.shared_index import open_index, put_there, shared_index, take_in
from backend.project.sharing import projects_of
from backend.project.validation import Validation
from backend.project.wanted import wanted_base
from backend.records.ahead import Ahead
from backend.records.doubts import Right, clear_found
from backend.records.groups import Groups
from backend.records.learned import Learned
from backend.records.map import forget_map
from backend.records.sample import KeptSample
from backend.records.state import NETWORKS, ProjectState
from backend.records.wishes import Wishes
from backend.settings import Settings
from model.backbone_store import BackboneStore
from model.embeddings.embedding_store import EmbeddingStore, embedding_key
from model.heads.head import Head
from model.networks.backbone import kept_name
from model.networks.weights_file import WeightsError
from model.storage.copies import in_use
from model.storage.documents_in_bucket import Haste
from model.version_store import Version

log = logging.getLogger(__name__)
LONG_SECONDS = 10.0  # of reading tasks, after which other machines are told at once
Progress = Callable[..., None]  # (step, done, total), and what else the job's meta should tell


class Session:
    """Everything about `project`, opened by `with Session(settings, project) as session` and closed after it.

    It holds the parts and says what they are about; what they do stands with each: `Learned`, `Index`, `KeptSample`,
    `sync_index`, `labelled_and_pool`, `References`.

    haste: see `projects_of`; has_wanted: whether the backbone that the project is to have can be had; where not, it stays
    with its own.
    """

    state: ProjectState
    has_wanted: bool
    label_studio: LabelStudio
    images: ImageSource
    index: Index

    def __init__(
        self, settings: Settings, project: int, progress: Progress = lambda *_, **__: None, haste: Haste = Haste.PATIENT
    ) -> None:
        self.settings = settings
        self.project = project
        self.progress = progress
        self.projects = projects_of(settings, haste)
        self.info: dict[str, Any] = {}
        self._target: Target | None = None
        self._held = ExitStack()

    def __enter__(self) -> "Session":
        with ExitStack() as held:
            self.projects.prepare()
            folder, documents = self.projects.folder(self.project), self.projects.documents(self.project)
            self.label_studio = LabelStudio(self.settings)
            held.callback(self.label_studio.http.close)
            self.images = ImageSource(self.settings, self.label_studio)
            held.callback(self.images.close)
            self.index = open_index(self.projects, self.project)
            self.shared = shared_index(self.projects, self.project)
            held.callback(self.index.close)
            mark, mirror = self.projects.identity()[:3], self.projects.mirror(self.project, self.progress)
            if mirror:
                held.enter_context(in_use(folder))
            self.learned = Learned(folder, documents, self.settings.model_weights, mark, mirror)
            self.versions = self.learned.versions
            self.finetuning = self.learned.finetuning
            self.sample = KeptSample(documents)
            self.groups = Groups(documents)
            self.documents = documents
            self.ahead, self.validation = Ahead(documents), Validation(documents)
            self.right = Right(documents)
            self.reread()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def reread(self) -> None:
        """Take up what other processes have changed in the project's state since, the live version's backbone too."""
        self.state = self.projects.read(self.project)
        self.has_wanted = True
        try:
            self.learned.want(wanted_base(self.settings, self.state.backbone, self.projects.arithmetic()))
        except WeightsError as error:
            if not self.learned.stay_with(self.state.live):
                raise
            self.has_wanted = False
            log.warning("Project %s stays with its backbone, since the wanted one cannot be had: %s", self.project, error)
        self.use_backbone(self.learned.backbone_of(self.state.live))

    @property
    def backbones(self) -> BackboneStore:
        """The project's backbones."""
        return self.learned.backbones

    @property
    def backbone(self) -> str:
        """The backbone in use; at first the live version's."""
        return self.learned.backbone

    @property
    def store(self) -> EmbeddingStore:
        """The embeddings of the backbone in use."""
        return self.learned.store

    def use_backbone(self, name: str) -> None:
        """Work with the embeddings of the backbone `name`."""
        self.learned.use(name)

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

    def sync(self, first: int = 0) -> bool:
        """Bring the index up to what Label Studio holds now; once more where it was damaged meanwhile.

        first: about how many tasks will do for now, where the project is new here and so large that to read all takes long; 0
        for all. Returns whether all were read.
        """
        self.look()
        self._check_identity()
        began = time.monotonic()
        try:
            whole = self._read(first)
        except IndexLost as reason:
            log.warning("Project %s: %s", self.project, reason)
            take_in(self.shared)
            whole = self._read(first)
        if time.monotonic() - began > LONG_SECONDS:
            put_there(self.shared)  # others would read it all as well
        return whole

    def _read(self, first: int) -> bool:
        index, studio, target, progress = self.index, self.label_studio, self.target, self.progress
        if first and sync_first(index, studio, self.info, target, self.state.live, first, progress):
            return False
        sync_index(index, studio, self.project, target, self.info["task_number"], progress)
        sync_accepted(index.accepted, studio, self.project, target)
        self.weigh()
        return True

    def weigh(self, again: bool = False) -> None:
        """Weigh several people's answers, where there are new ones or, with `again`, any."""
        single = self.settings.reask == "on" and len(self.index.answers.people()) > 1
        weigh_answers(self.index, self.store, self.target, again, single)

    def _check_identity(self) -> None:
        """Another project under the same id, as after a new installation of Label Studio, starts from nothing."""
        created = self.info["created_at"]
        known = self.state.created_at
        if moment_of(known) and moment_of(known) != moment_of(created):
            log.warning("Project %s is not the one known here: its old versions and embeddings are removed", self.project)
            clear_found(self.documents)
            self.learned.clear()
            self.sample.clear()
            self.groups.clear()
            self.ahead.clear()
            self.validation.clear()
            Wishes(self.documents).clear()
            forget_map(self.documents)
            self.right.clear()
            self.index.clear()
            with self.edit() as state:
                state.start_over()
        if self.state.created_at != created:
            with self.edit() as state:
                state.created_at = created

    def fits(self, version: Version) -> bool:
        """Whether `version` speaks of the classes asked for now, and its backbone is here."""
        return version.target == self.target.as_dict() and self.backbones.has(version.backbone)

    def first(self) -> First:
        """What is to stand at the head of the queue, as far as it is open."""
        return First(self.ahead.tasks(), self.validation.asked())

    def labelled(self) -> Labelled:
        """The labelled images, as far as they have embeddings."""
        return self._arrays(whole=False)[0]

    def labelled_and_pool(self) -> tuple[Labelled, Pool]:
        """The labelled images and the unlabelled, unskipped ones, as far as they have embeddings."""
        return self._arrays(whole=True)

    def _arrays(self, whole: bool) -> tuple[Labelled, Pool]:
        draw = partial(self.sample.draw, share=self.settings.explore)
        unseen = partial(self.backbones.unseen, self.backbone)
        target = self.target
        accepted = {label.task for label in self.index.accepted.all()}
        every, classes = self.index.tasks.arrays(), target.classes
        return labelled_and_pool(every, classes, self.store, draw, unseen, whole, target.SEVERAL, accepted)

    def rules(self) -> Rules:
        """How this project's queue is drawn."""
        s = self.settings
        return Rules(self.state.strategy or s.strategy, s.queue_size, s.explore, s.retrain_after)

    def new_version_name(self) -> str:
        """A name that no version bears, on disk or among Label Studio's predictions."""
        return self.versions.new_name(self.label_studio.prediction_counts(self.project))

    def write_version(self, name: str, labelled: Labelled, head: Head | None, metrics: dict[str, Any]) -> str:
        """Put what was learned from `labelled` on disk as the version `name`, which nothing follows yet; returns the name."""
        return self.learned.write(
            name,
            labelled,
            head,
            metrics,
            target=self.target.as_dict(),
            strategy=self.rules().strategy,
            newest_task=self.index.tasks.newest(),
        )

    def collect_backbones(self) -> None:
        """Remove backbones and embeddings that no version on disk and no job needs any more; nothing while the wanted backbone
        cannot be had, whose embeddings may be there already."""
        self.reread()  # another base may be wanted since
        if not self.has_wanted:
            return
        for name in self.learned.collect(self.projects.read(self.project)):
            for kept in (self.settings.data_dir / NETWORKS).glob(f"{kept_name(name)}.*"):
                kept.unlink(missing_ok=True)  # another project that has this backbone makes it again, in seconds
            log.info("Project %s: removed backbone %s and its embeddings", self.project, name)

    def as_row(self, task: dict[str, Any]) -> Row:
        """A task as Label Studio sends it to /predict."""
        reference, error = image_reference(task.get("data"), self.target)
        return Row(task["id"], reference, embedding_key(task["id"], reference), UNLABELLED, None, error)

    def reference(self, row: Row) -> str:
        """The whole image reference of `row`. Raises ImageError where there is none any more, LabelStudioError."""
        return References(self, [row]).of(row)
