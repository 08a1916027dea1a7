"""What is known of a connected project besides Label Studio's own records: a small file each, safe for many processes."""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from backend.settings import Settings
from model.files import read_json, write_json

FORMAT = 1


class DataDirError(RuntimeError):
    """A DATA_DIR that this version of the plugin must not touch."""


@dataclass
class ProjectState:
    """One project. live: the version the queue is to follow; followed: the one Label Studio was last told to follow;
    returning: the one a rollback is about to make live; partial: the last queue was drawn before the pool was embedded;
    trained: fingerprint of the labels of the last finished round; control: name of the control of the labelling config that
    is learned, "" for the first that can be.

    finetune: how deep this project's ResNet50 is retrained, "" for the setting FINETUNE; tuned_labels: labels there were
    when that last began; finetuned: what came of it; candidate: the backbone it is about to make; promoting: the one that
    the next round is to publish with. previous: the project settings that `connect` changed, for `disconnect` to put back;
    made: what it made in Label Studio, ids by "backend", "webhook" and "view", and under "url" the BACKEND_URL of the time.
    """

    created_at: str = ""
    connected: bool = False
    paused: bool = False
    strategy: str = ""
    control: str = ""
    live: str = ""
    followed: str = ""
    returning: str = ""
    partial: bool = False
    trained: str = ""
    target: dict[str, Any] = field(default_factory=dict)
    finetune: str = ""
    tuned_labels: int = 0
    finetuned: dict[str, Any] = field(default_factory=dict)
    candidate: str = ""
    promoting: str = ""
    previous: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    last_error: str = ""

    def start_over(self) -> None:
        """Forget all that was learned: the project is another one under the same id."""
        self.live = self.followed = self.returning = self.trained = self.candidate = self.promoting = ""
        self.target, self.finetuned, self.tuned_labels = {}, {}, 0


def finetune_depth(state: ProjectState, settings: Settings) -> str:
    """How deep a project's ResNet50 is retrained without being asked to: "last", "all", or "" for not."""
    depth = state.finetune or settings.finetune
    return "" if depth == "off" else depth


class Projects:
    """The folder DATA_DIR/projects: one sub-folder a project."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.root = data_dir / "projects"

    def prepare(self) -> None:
        """Make DATA_DIR, or check that it has the format this code writes. Raises DataDirError."""
        self.root.mkdir(parents=True, exist_ok=True)
        found = read_json(self.data_dir / "format.json")
        if found is None:
            write_json(self.data_dir / "format.json", {"format": FORMAT})
        elif found.get("format") != FORMAT:
            raise DataDirError(
                f"{self.data_dir} has format {found.get('format')}, this version reads format {FORMAT}: "
                "set DATA_DIR to another folder, or run the version that wrote it."
            )

    def identity(self) -> str:
        """A random name that this DATA_DIR got when it was first used, and that tells nothing about it.

        The server gives it at /health, so that a command can tell whether the server it reached works on the same DATA_DIR.
        """
        path = self.data_dir / "identity.json"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if not (known := read_json(path)):
            with (self.data_dir / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not (known := read_json(path)):
                    known = {"identity": uuid.uuid4().hex}
                    write_json(path, known)
        return str(known["identity"])

    def ids(self) -> list[int]:
        """Ids of the projects known here."""
        return sorted(int(path.parent.name) for path in self.root.glob("*/project.json") if path.parent.name.isdigit())

    def folder(self, project: int) -> Path:
        """Where everything about `project` lies."""
        return self.root / str(project)

    def read(self, project: int) -> ProjectState:
        """The project's state; that of a new project where there is none."""
        found = read_json(self.folder(project) / "project.json") or {}
        known = {entry.name for entry in fields(ProjectState)}
        return ProjectState(**{key: value for key, value in found.items() if key in known})

    @contextmanager
    def edit(self, project: int) -> Iterator[ProjectState]:
        """Read, change, write, with no other process between: `with projects.edit(3) as state: state.paused = True`."""
        self.folder(project).mkdir(parents=True, exist_ok=True)
        with (self.folder(project) / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read(project)
            yield state
            write_json(self.folder(project) / "project.json", asdict(state))
