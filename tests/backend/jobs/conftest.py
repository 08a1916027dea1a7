"""The fixtures of the jobs' tests: a project as its jobs see it, connected, and with two versions."""

import threading
from http.server import ThreadingHTTPServer

import pytest

from backend.bench.label_studio import label_config
from backend.jobs.round import run_round
from backend.project import embedding
from backend.queue.redis_server import redis_url
from backend.queue.work import Work
from backend.records.state import Projects
from backend.settings import get_settings
from tests.backend.jobs.made_up import CLASSES, Colours, Place, photo
from tests.label_studio_contract import Backend
from tests.label_studio_in_memory import TOKEN

IMAGES = 24


@pytest.fixture
def make_place(label_studio, redis, redis_settings, tmp_path, monkeypatch):
    """Makes a connected project of some photos, whose plugin has these settings."""

    def make(images: int, **more: str) -> Place:
        project = label_studio.add_project(label_config(CLASSES), [f"/data/upload/{n}.png" for n in range(images)])
        label_studio.files |= {f"/data/upload/{n}.png": photo(n) for n in range(images)}
        values = {
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "DATA_DIR": str(tmp_path / "data"),
            "REDIS_URL": redis_url(redis_settings),
            "QUEUE_SIZE": "8",
            "RETRAIN_AFTER": "3",
        }
        for name, value in (values | more).items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        settings = get_settings()
        with Projects(settings.data_dir).edit(project) as state:
            state.connected = True
        return Place(label_studio, project, label_studio.task_ids(project), settings, Work(redis, settings.retrain_after))

    yield make
    get_settings.cache_clear()


@pytest.fixture
def place(make_place, monkeypatch):
    """A connected project of IMAGES photos."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    return make_place(IMAGES)


@pytest.fixture
def two_versions(place):
    """Give `place` two versions, `first` and `second`; the predictions of both are there."""
    place.label(0, 1)
    place.first = place.run(run_round)["version"]
    place.label(2, 3)
    place.second = place.run(run_round)["version"]


@pytest.fixture
def server():
    """An ML backend that answers Label Studio."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def answering(server):
    """Its address."""
    return f"http://127.0.0.1:{server.server_port}"
