"""Two made-up projects in the Label Studio in memory: one as a session sees it, with embeddings at once, and one as its jobs
see it, with small photos and a real Redis."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from backend.bench.label_studio import label_config
from backend.connection.differences import WANTED
from backend.jobs.publish import publish, switch
from backend.labelstudio.wiring import TITLE
from backend.learning.rounds import rank, train
from backend.project.session import Session
from backend.queue.work import Work
from backend.records.state import Projects, ProjectState
from backend.settings import Settings
from model.version_store import VersionStore, fingerprint
from tests.label_studio_in_memory import TOKEN, LabelStudioInMemory
from tests.model.made_up import DIMENSIONS

CLASSES = ["ants", "bees"]
URL = "http://127.0.0.1:9090"


def never() -> None:
    """A check that is always content."""


@contextmanager
def session_on(label_studio: LabelStudioInMemory, settings: Settings, images: int, url: str = URL) -> Iterator[Session]:
    """A connected project of `images` tasks whose images all have embeddings. url: our ML backend's; none answers at URL."""
    project = label_studio.add_project(label_config(CLASSES), [])
    settings = settings.model_copy(update={"label_studio_url": label_studio.url, "backend_url": url})
    with Session(settings, project) as session:
        client = label_studio.client()
        client.patch_project(project, **WANTED)
        label_studio.backends[1] = {"id": 1, "project": project, "url": url, "title": TITLE}
        hook = {"is_active": True, "send_for_all_actions": True, "send_payload": True, "headers": {}}
        label_studio.webhooks[1] = {"id": 1, "project": project, "url": f"{url}/webhook"} | hook
        with session.edit() as state:
            state.connected = True
        add_tasks(label_studio, session, images)
        yield session


def add_tasks(label_studio: LabelStudioInMemory, session: Session, images: int) -> list[int]:
    """Import tasks, and give their images embeddings: two clouds, of even and of odd tasks. Returns their ids."""
    client, before = label_studio.client(), set(label_studio.task_ids(session.project))
    sent = [{"data": {"image": f"https://images.example/{len(before) + n}.jpg"}} for n in range(images)]
    client.request("POST", f"/api/projects/{session.project}/import", json=sent)
    new = [task for task in label_studio.task_ids(session.project) if task not in before]
    session.sync()
    rows = [row for row in session.index.rows() if row.task in new]
    values = np.random.default_rng(len(before)).normal(size=(len(rows), DIMENSIONS)).astype(np.float32)
    values[:, 0] += [20 * (row.task % 2) for row in rows]
    session.store.add([row.key for row in rows], values)
    return new


def label_some(label_studio: LabelStudioInMemory, session: Session, count: int) -> list[int]:
    """Label the first `count` tasks that are open, by their parity."""
    session.sync()
    tasks = [row.task for row in session.index.rows() if row.state == "unlabelled"][:count]
    for task in tasks:
        label_studio.label(task, CLASSES[task % 2])
    session.sync()
    return tasks


def run_round(session: Session) -> str:
    """What a round does, without its job; returns the version."""
    session.sync()
    labelled, pool = session.labelled_and_pool()
    head, metrics = train(labelled, pool, len(CLASSES))
    name = session.write_version(session.new_version_name(), labelled, head, metrics)
    publish(session, name, rank(head, pool, labelled, session.rules(), name), never)
    switch(session, name, never)
    with session.edit() as state:
        state.trained = fingerprint(labelled.tasks, labelled.labels, session.target.as_dict())
    return name


def stored(label_studio: LabelStudioInMemory, version: str) -> dict[int, list[float]]:
    """Scores that are stored under `version`, by task."""
    found: dict[int, list[float]] = {}
    for prediction in label_studio.predictions.values():
        if prediction["model_version"] == version:
            found.setdefault(prediction["task"], []).append(prediction["score"])
    return found


def settings_for(make_settings, **values: object) -> Settings:
    """Settings of a small queue and the random strategy, with the token that the Label Studio in memory takes."""
    return make_settings(**({"label_studio_api_key": TOKEN, "queue_size": 8, "strategy": "random", "explore": 0.25} | values))


class Colours:
    """In ResNet50's place: an image's mean colour, in as many numbers."""

    least_side, batch = 256, 8

    def prepare(self, image: Image.Image) -> np.ndarray:
        """The image as it is, uint8 (H, W, 3)."""
        return np.asarray(image)

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Embeddings of images (n, H, W, 3), float32 (n, DIMENSIONS)."""
        means = images.mean(axis=(1, 2)) / 255
        found = np.zeros((len(means), DIMENSIONS), np.float32)
        found[:, :3] = means
        found[:, 3] = 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def photo(number: int) -> bytes:
    """A small photo, red where `number` is even and blue where it is odd, no two alike."""
    shade = 120 + 5 * (number % 25)
    colour = (shade, number, 0) if number % 2 == 0 else (0, number, shade)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Place:
    """A connected project: its Label Studio, its id, its tasks in order, and how jobs see it. first, second: its versions,
    where the fixture `two_versions` has made them."""

    studio: LabelStudioInMemory
    project: int
    tasks: list[int]
    settings: Settings
    work: Work
    first: str = ""
    second: str = ""

    @property
    def state(self) -> ProjectState:
        """The project's state on disk."""
        return Projects(self.settings.data_dir).read(self.project)

    @property
    def versions(self) -> list[str]:
        """Names of the versions on disk."""
        return VersionStore(Projects(self.settings.data_dir).folder(self.project) / "versions").names()

    def run(self, job: Callable[..., Any], *more: Any) -> Any:
        """Run a job function here as a worker would; returns what it returns."""
        kind = {"run_round": "round", "draw_map": "map"}.get(job.__name__, job.__name__)
        generation = int(self.work.redis.hget(f"al:project:{self.project}", f"{kind}:generation") or 0)
        return job(self.project, generation, *more)

    def label(self, *numbers: int) -> None:
        """Label the tasks of these photos with their colours."""
        for number in numbers:
            self.studio.label(self.tasks[number], CLASSES[number % 2])

    def live(self) -> str:
        """The version that Label Studio follows."""
        return str(self.studio.projects[self.project]["model_version"])

    def predictions(self, version: str) -> list[int]:
        """Tasks with a prediction of `version`, in its order."""
        found = [p for p in self.studio.predictions.values() if p["model_version"] == version]
        return [p["task"] for p in sorted(found, key=lambda p: p["score"])]

    def session(self) -> Session:
        """What a job opens."""
        return Session(self.settings, self.project)
