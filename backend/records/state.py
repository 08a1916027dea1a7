"""What is known of a connected project besides Label Studio's own records: a small file each, safe for many processes."""

import logging
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from backend.records.succession import Succession
from backend.settings import Settings
from model.storage.bucket import Bucket
from model.storage.documents import Documents, DocumentsOnDisk
from model.storage.mirror import Mirror, Report

log = logging.getLogger(__name__)
FORMAT = 1
STATE, COPY = "project.json", "project.copy.json"  # the copy holds the same, and is read where the other is damaged

FORMAT_NOTE = "format.json"  # in DATA_DIR, or in STORE: once it is there, plugins work with it
IDENTITY = "identity.json"  # in DATA_DIR: its name
ARITHMETIC = "arithmetic.json"  # in DATA_DIR: in which arithmetic networks compute
PROJECTS = "projects"  # in DATA_DIR, or in STORE: a folder for each
NETWORKS = "networks"  # in DATA_DIR: networks as the processor takes them, by the names of backbones


class DataDirError(RuntimeError):
    """A DATA_DIR that this version of the plugin must not touch."""


@dataclass
class ProjectState(Succession):
    """One project: which version and backbone come next (`Succession`), and what people and jobs have settled.

    control: name of the control of the labelling config that is learned, "" for the first that can be; partial: the last
    queue was drawn before the pool was embedded; trained: fingerprint of the labels of the last finished round.
    backbone: which one this project is to have, "NAME" or "NAME=FILE", "" for the setting BACKBONE; forced: even where it turns
    out no better; migration: how far the way to it is, or what came of it (see backend/project/migration.py).
    finetune: how deep this project's ResNet50 is retrained, "" for the setting FINETUNE; tuned_labels: labels there were
    when that last began; finetuned: what came of it.
    previous: the project settings that `connect` changed, for `disconnect` to put back; made: what it made in Label Studio,
    ids by "backend", "webhook" and "view", and under "url" the BACKEND_URL of the time.
    errors: for each kind of job that fails at the moment when and why, such as "2026-11-26 08:30:00 round: ...".
    """

    created_at: str = ""
    connected: bool = False
    paused: bool = False
    strategy: str = ""
    control: str = ""
    partial: bool = False
    trained: str = ""
    backbone: str = ""
    forced: bool = False
    migration: dict[str, Any] = field(default_factory=dict)
    finetune: str = ""
    tuned_labels: int = 0
    finetuned: dict[str, Any] = field(default_factory=dict)
    previous: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def last_error(self) -> str:
        """The newest of `errors`, "" where all works."""
        return max(self.errors.values(), default="")

    def start_over(self) -> None:
        """Forget all that was learned: the project is another one under the same id."""
        self.forget()
        self.trained, self.finetuned, self.tuned_labels, self.migration = "", {}, 0, {}

    @classmethod
    def from_json(cls, found: Any) -> "ProjectState | None":
        """The state that was written as `found`, by this version or another; None where that is no project's state."""
        if not isinstance(found, dict) or not isinstance(found.get("connected"), bool):
            return None
        known = {entry.name: entry for entry in fields(cls)}
        values = {name: value for name, value in found.items() if name in known}
        for name, value in values.items():
            entry = known[name]
            default = entry.default if entry.default is not MISSING else {}
            if type(value) is not type(default):
                return None
        return cls(**values)


def finetune_depth(state: ProjectState, settings: Settings) -> str:
    """How deep a project's ResNet50 is retrained without being asked to: "last", "all", or "" for not."""
    depth = state.finetune or settings.finetune
    return "" if depth == "off" else depth


def _fastest() -> str:
    from model.networks.arithmetic import fastest  # brings torch

    return fastest()


class Projects:
    """The projects that are known: what is known of each lies in a folder of its own, projects/ID.

    documents: where small files lie that processes on all machines change, by default in DATA_DIR itself; `folder` is this
    machine's own disk. files: where versions, backbones and embeddings lie, of which DATA_DIR then has copies.
    """

    def __init__(self, data_dir: Path, documents: Documents | None = None, files: Mirror | None = None) -> None:
        self.data_dir = data_dir
        self.root = (files.folder if files else data_dir) / PROJECTS
        self.shared = documents or DocumentsOnDisk(data_dir)
        self._files = files

    def prepare(self) -> None:
        """Make DATA_DIR, or check that it has the format this code writes. Raises DataDirError."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.is_begun():
            return
        if self._files and Projects(self.data_dir).ids():
            raise DataDirError(
                f"{self._where} is empty, and DATA_DIR={self.data_dir} holds projects: start `al-backend up` first, "
                "which copies them there."
            )
        self.begin()

    def begin(self) -> None:
        """Note the format this code writes: from now on, it is worked with."""
        self.shared.write_json(FORMAT_NOTE, {"format": FORMAT})

    def check(self) -> None:
        """That a plugin has worked with DATA_DIR, in the format this code writes; makes nothing. Raises DataDirError."""
        if not self.is_begun() or not self._value(IDENTITY, "identity"):
            raise DataDirError(
                f"No plugin has worked with {self._where} yet: run this command in the folder where `al-backend up` "
                "runs, set the same DATA_DIR and STORE, or start `al-backend up`."
            )

    @property
    def _where(self) -> str:
        """Where what is known of projects lies, for people."""
        return f"STORE={self.shared.place()}" if self._files else f"DATA_DIR={self.data_dir}"

    def is_begun(self) -> bool:
        """Whether DATA_DIR has its note of the format, undamaged. Raises DataDirError where that is another one."""
        found = self.shared.read_json(FORMAT_NOTE)
        if not isinstance(found, dict) or not isinstance(found.get("format"), int):
            return False
        if found["format"] != FORMAT:
            raise DataDirError(
                f"{self._where} has format {found['format']}, this version reads format {FORMAT}: "
                "set it to another folder, or run the version that wrote it."
            )
        return True

    def identity(self) -> str:
        """A random name that this DATA_DIR got when it was first used, and that tells nothing about it.

        The server gives it at /health, so that a command can tell whether the server it reached works on the same DATA_DIR.
        """
        return self._once(IDENTITY, "identity", lambda: uuid.uuid4().hex)

    def arithmetic(self) -> str:
        """In which arithmetic networks compute here: the fastest of the machine that first asked, and the same from then on for
        all that share this DATA_DIR, since embeddings of two kinds must not meet."""
        return self._once(ARITHMETIC, "arithmetic", _fastest)

    def settled_arithmetic(self) -> str:
        """The same where somebody has asked already, "" where not."""
        return self._value(ARITHMETIC, "arithmetic")

    def _once(self, document: str, name: str, choose: Callable[[], str]) -> str:
        """The value `name` in `document`, chosen by the first process that asks."""
        if not (known := self._value(document, name)):
            with self.shared.locked(document):
                if not (known := self._value(document, name)):
                    known = choose()
                    self.shared.write_json(document, {name: known})
        return known

    def _value(self, document: str, name: str) -> str:
        found = self.shared.read_json(document)
        return str(found.get(name, "")) if isinstance(found, dict) else ""

    def ids(self) -> list[int]:
        """Ids of the projects known here."""
        folders = self.shared.within(PROJECTS)
        names = [name for name in folders.folders() if name.isascii() and name.isdigit()]
        return sorted(int(name) for name in names if any(folders.has(f"{name}/{document}") for document in (STATE, COPY)))

    def folder(self, project: int) -> Path:
        """Where this machine keeps what it has read and made of `project`."""
        return self.root / str(project)

    def forget(self, project: int) -> None:
        """Remove all that is kept of `project`, for all machines, and from this one's disk."""
        self.documents(project).forget()
        shutil.rmtree(self.folder(project), ignore_errors=True)

    @property
    def bucket(self) -> Bucket | None:
        """Where all that machines have in common lies, None where they share DATA_DIR."""
        return self._files.bucket if self._files else None

    def documents(self, project: int) -> Documents:
        """Where what is known of `project` lies."""
        return self.shared.within(f"{PROJECTS}/{project}")

    def mirror(self, project: int, report: Report | None = None) -> Mirror | None:
        """Where the files of `project` lie that `folder` has copies of; None where it has the files themselves."""
        return self._files.within(f"{PROJECTS}/{project}", report) if self._files else None

    def read(self, project: int) -> ProjectState:
        """The project's state; that of a new project where there is none, or where document and copy are damaged."""
        documents = self.documents(project)
        if state := ProjectState.from_json(documents.read_json(STATE)):
            return state
        copy = ProjectState.from_json(documents.read_json(COPY))
        damaged = documents.read(STATE) is not None
        if copy:
            log.warning("%s is %s: its copy is read", documents.place(STATE), "damaged" if damaged else "gone")
            return copy
        if not damaged:
            return ProjectState()
        reason = (
            f"{documents.place(STATE)} and its copy are damaged, so nobody knows whether the project is connected: run "
            f"`al-backend connect --project {project}`. Labels, versions and embeddings are all there."
        )
        return ProjectState(errors={"": reason})

    @contextmanager
    def edit(self, project: int) -> Iterator[ProjectState]:
        """Read, change, write, with no other process between: `with projects.edit(3) as state: state.paused = True`."""
        documents = self.documents(project)
        with documents.locked(STATE):
            state = self.read(project)
            yield state
            for name in (STATE, COPY):
                documents.write_json(name, asdict(state))


def new_failure(projects: Projects, project: int, job_id: str) -> Callable[[], str]:
    """Tells, whenever it is called, why a job of the kind of `job_id` has failed since; "" where none has."""
    kind = job_id.split("-")[0]
    before = projects.read(project).errors.get(kind)

    def failure() -> str:
        error = projects.read(project).errors.get(kind, "")
        return "" if error == before else error

    return failure
