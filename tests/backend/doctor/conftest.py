"""A whole house for `doctor` in this process: a Label Studio in memory, the real server, a worker by name, and a project whose
queue was published by a real round."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from rq import Worker

from backend.bench.child import free_port
from backend.connection.differences import WANTED
from backend.doctor import plugin, way_back
from backend.doctor.case import House
from backend.doctor.diagnosis import diagnose
from backend.doctor.finding import OK, SKIPPED, Finding
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.labelstudio.wiring import Wiring
from backend.project import embedding
from backend.queue.signs import tell_version
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.records.state import Projects
from backend.server.app import create_app
from backend.server.protocol import config
from tests.backend.jobs.conftest import make_place  # noqa: F401
from tests.backend.jobs.made_up import Colours, Place

PLENTY = 100_000_000_000


class Examined:
    """A house that `doctor` looks at; tests break it. place: its project; studio: its Label Studio."""

    def __init__(self, place: Place, worker: Worker, server: uvicorn.Server, patch: Callable[[Any, str, Any], None]) -> None:
        self.place, self.studio, self.settings, self.worker = place, place.studio, place.settings, worker
        self.number, self.redis, self.projects = place.project, place.work.redis, Projects(place.settings.data_dir)
        self.doubts: list[str] = []
        self.patch = patch  # replaces an attribute until the test ends
        self._redis_before: dict[str, str] = {}
        self._server, self._thread = server, threading.Thread(target=server.run, daemon=True)

    def change(self, **settings: Any) -> None:
        """Give `doctor` other settings than the plugin has."""
        self.settings = self.settings.model_copy(update=settings)

    def set_redis(self, **options: str) -> None:
        """Change Redis' own settings until the test ends."""
        for name, value in options.items():
            self._redis_before.setdefault(name, self.redis.config_get(name)[name])
            self.redis.config_set(name, value)

    def start(self) -> None:
        """Start the server."""
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server, and put Redis back."""
        for name, value in self._redis_before.items():
            self.redis.config_set(name, value)
        self._server.should_exit = True
        self._thread.join()

    def wait(self, _: Work, job: str) -> None:
        """A worker that does a job at once."""
        self.place.run({"reconcile": reconcile, "round": run_round}[job.split("-")[0]])

    def findings(self, fix: bool = False, project: int | None = None) -> list[Finding]:
        """What is found."""
        house = House(self.settings, self.doubts, self.wait)
        return list(diagnose(house, project, fix, lambda _: None))

    def broken(self, **options: Any) -> dict[str, Finding]:
        """What is neither well nor skipped, by its link."""
        return {found.link: found for found in self.findings(**options) if found.state not in (OK, SKIPPED)}

    def edit(self, **changes: Any) -> None:
        """Change the project's state."""
        with self.projects.edit(self.number) as state:
            for name, value in changes.items():
                setattr(state, name, value)

    @property
    def project(self) -> dict[str, Any]:
        """The project as Label Studio holds it."""
        return self.studio.projects[self.place.project]

    @property
    def hook(self) -> dict[str, Any]:
        """Its webhook."""
        (found,) = self.studio.webhooks.values()
        return found

    @property
    def backend(self) -> dict[str, Any]:
        """Its ML backend."""
        (found,) = self.studio.backends.values()
        return found

    def live_predictions(self) -> list[dict[str, Any]]:
        """Those that the queue follows."""
        return [p for p in self.studio.predictions.values() if p["model_version"] == self.place.state.live]


@pytest.fixture
def house(make_place, monkeypatch) -> Iterator[Examined]:  # noqa: F811
    """All is well, and all there is to break is at hand."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    monkeypatch.setattr(way_back, "SLOW_SECONDS", 60)  # on a busy machine all of it may be slow
    monkeypatch.setattr(plugin, "free_memory", lambda: PLENTY)
    monkeypatch.setattr(plugin, "free_disk", lambda _: PLENTY)
    port = free_port()
    place = make_place(12, PORT=str(port), BASIC_AUTH_USER="u", BASIC_AUTH_PASS="p", HOST="127.0.0.1")
    projects = Projects(place.settings.data_dir)
    projects.prepare()
    projects.identity()
    worker = Worker([*QUEUES, FINETUNE], connection=place.work.redis)
    worker.register_birth()
    tell_version(place.work.redis, worker.key)
    server = uvicorn.Server(config(create_app(place.settings), port))
    examined = Examined(place, worker, server, monkeypatch.setattr)
    examined.start()
    place.label(0, 1)
    place.run(run_round)
    place.run(reconcile)
    wire(place)
    yield examined
    examined.stop()


def wire(place: Place) -> None:
    """What `connect` makes in Label Studio."""
    client = place.studio.client()
    client.patch_project(place.project, **WANTED)
    wiring = Wiring(client, place.project, place.settings.backend_url, place.settings.credentials)
    wiring.put_backend()
    wiring.put_webhook()
    with Projects(place.settings.data_dir).edit(place.project) as state:
        state.made = wiring.made
