"""A project of small photos on a Label Studio in memory, a real Redis, and a network that costs nothing."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backend.project import embedding
from backend.project.session import Session
from backend.project.state import Projects, ProjectState
from backend.queue.redis_server import redis_url
from backend.queue.work import Work
from backend.settings import Settings, get_settings
from model.backbone import DIMENSIONS
from model.version_store import VersionStore
from tests.label_studio_in_memory import TOKEN, LabelStudioInMemory
from tools.label_studio import label_config

CLASSES = ["red", "blue"]
IMAGES = 24


class Colours:
    """In ResNet50's place: an image's mean colour, in as many numbers."""

    def embed(self, images: torch.Tensor) -> np.ndarray:
        """Embeddings of images (n, 3, 224, 224), float32 (n, DIMENSIONS)."""
        means = images.mean(dim=(2, 3)).numpy()
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
    """A connected project: its Label Studio, its id, its tasks in order, and how jobs see it."""

    studio: LabelStudioInMemory
    project: int
    tasks: list[int]
    settings: Settings
    work: Work

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
        kind = "round" if job.__name__ == "run_round" else job.__name__
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


@pytest.fixture
def place(label_studio, redis, redis_settings, tmp_path, monkeypatch):
    """A connected project of IMAGES photos."""
    project = label_studio.add_project(label_config(CLASSES), [f"/data/upload/{n}.png" for n in range(IMAGES)])
    label_studio.files |= {f"/data/upload/{n}.png": photo(n) for n in range(IMAGES)}
    values = {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": redis_url(redis_settings),
        "QUEUE_SIZE": "8",
        "RETRAIN_AFTER": "3",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    monkeypatch.setattr(embedding, "get_backbone", lambda _: Colours())
    settings = get_settings()
    with Projects(settings.data_dir).edit(project) as state:
        state.connected = True
    yield Place(label_studio, project, label_studio.task_ids(project), settings, Work(redis, settings.retrain_after))
    get_settings.cache_clear()
