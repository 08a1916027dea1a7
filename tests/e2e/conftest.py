"""A whole house for the end-to-end tests: Label Studio, `python -m backend up` with credentials, and annotators."""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from redis import Redis

from backend.bench import label_studio as ls
from backend.bench.child import free_port
from backend.bench.plugin import Plugin
from backend.labelstudio.client import LabelStudio
from backend.learning.slots import slot_order
from backend.queue.redis_server import connect_redis
from backend.records.state import Projects
from backend.settings import Settings
from backend.simulate.folder import images_by_class
from model.version_store import Version, VersionStore
from tests.conftest import ROOT, every_prediction

RETRAIN_AFTER, QUIET_SECONDS, QUEUE_SIZE = 10, 4, 60


def label_studio_venv() -> Path:
    """Where Label Studio is installed."""
    venv = Path(os.environ.get("LABEL_STUDIO_VENV") or ROOT / ".venv-label-studio")
    assert (venv / "bin" / "label-studio").exists(), f"{venv} has no Label Studio: run the tests with `make test`"
    return venv


def wait_until(condition: Callable[[], Any], seconds: float = 180, what: str = "") -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition.__doc__ or condition.__name__}"
        time.sleep(0.2)
    return value


class Annotator:
    """Someone who only ever sees Label Studio: signed up by invitation, logged in with a browser session. number: their id."""

    def __init__(self, admin: LabelStudio) -> None:
        token = admin.request("GET", "/api/invite")["token"]
        self._http = httpx.Client(base_url=admin.url, timeout=60)
        self._http.get("/user/signup/", params={"token": token})
        form = {"email": f"{secrets.token_hex(4)}@example.org", "password": "a-long-password", "allow_newsletters": "false"}
        form["csrfmiddlewaretoken"] = self._http.cookies["csrftoken"]
        answer = self._http.post("/user/signup/", params={"token": token}, data=form, headers=ls.csrf(self._http))
        assert answer.status_code == 302, answer.text[:500]
        self.number = int(self._http.get("/api/current-user/whoami").json()["id"])

    def token(self) -> str:
        """A new personal access token of theirs."""
        return str(self._http.post("/api/token/", headers=ls.csrf(self._http)).raise_for_status().json()["token"])

    def next(self, project: int) -> dict[str, Any] | None:
        """The task that "Label All Tasks" shows next, or None at the end."""
        for _ in range(5):
            answer = self._http.get(f"/api/projects/{project}/next")
            if answer.status_code != 500:  # sqlite: "database is locked"
                break
        return None if answer.status_code == 404 else answer.raise_for_status().json()

    def label(self, task: dict[str, Any], choice: str) -> int:
        """Submit; returns the annotation's id."""
        result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}]
        return self._submit(task, {"result": result, "lead_time": 1})

    def skip(self, task: dict[str, Any]) -> int:
        """Press Skip."""
        return self._submit(task, {"result": [], "was_cancelled": True})

    def _submit(self, task: dict[str, Any], body: dict[str, Any]) -> int:
        path = f"/api/tasks/{task['id']}/annotations/"
        return self._http.post(path, json=body, headers=ls.csrf(self._http)).raise_for_status().json()["id"]


@dataclass
class House:
    """A running Label Studio and plugin."""

    admin: LabelStudio
    settings: Settings
    plugin: Plugin
    values: dict[str, str]
    folder: Path
    redis: Redis

    def cli(self, *arguments: str, ok: bool = True) -> str:
        """`python -m backend ARGUMENTS`; returns what it printed. With ok=False it must fail."""
        done = self.plugin.command(*arguments, capture=True)
        assert (done.returncode == 0) == ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def project(self, title: str, named: dict[str, tuple[str, Path]], classes: list[str]) -> int:
        """A project with the images `named`."""
        project = ls.find_or_make_project(self.admin, f"{title} {secrets.token_hex(3)}", classes)
        ls.import_images(self.admin, project, named, lambda *_: None)
        ls.wait_for_tasks(self.admin, project, len(named))
        return project

    def live(self, project: int) -> str:
        """What Label Studio's queue follows."""
        return self.admin.project(project)["model_version"]

    def version(self, project: int, name: str) -> Version:
        """A version as it is on disk."""
        return VersionStore(self.settings.data_dir / "projects" / str(project) / "versions").load(name)

    def newest(self, project: int) -> Version:
        """The plugin's own live version, which Label Studio is not told of where no image was left to publish."""
        return self.version(project, Projects(self.settings.data_dir).read(project).live)

    def queue(self, project: int, version: str) -> list[int]:
        """Tasks in the order of the predictions of `version`."""
        found = [p for p in every_prediction(self.admin, project) if p["model_version"] == version]
        return [p["task"] for p in sorted(found, key=lambda p: p["score"])]

    def label_first_slots(self, project: int, named: dict[str, tuple[str, Path]], count: int) -> None:
        """Label the first `count` tasks of the random sample, as the folders of their images say."""
        tasks = {task["id"]: task for page in self.admin.tasks(project) for task in page}
        ids = np.array(sorted(tasks), np.int64)
        for task in ids[slot_order(ids)[:count]].tolist():
            choice = {"choices": [named[ls.name_of(tasks[task])][0]]}
            result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": choice}]
            self.admin.request("POST", f"/api/tasks/{task}/annotations/", json={"result": result})

    def open_tasks(self, project: int) -> set[int]:
        """Tasks without any annotation."""
        return {t["id"] for page in self.admin.tasks(project) for t in page if not t["annotations"]}


@contextmanager
def open_house(folder: Path, weights: Path, environment: Mapping[str, str] = ls.ENVIRONMENT, **more: str) -> Iterator[House]:
    """A Label Studio started with `environment`, and a plugin with the settings `more`; both end with the block."""
    server = ls.LabelStudioServer(label_studio_venv(), folder / "label-studio", free_port(), environment)
    plugin: Plugin | None = None
    try:
        server.start()
        port = free_port()
        values = {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.personal_access_token(),
            "DATA_DIR": str(folder / "data"),
            "PORT": str(port),
            "MODEL_WEIGHTS": str(weights),
            "BASIC_AUTH_USER": "label-studio",
            "BASIC_AUTH_PASS": "secret",
            "RETRAIN_AFTER": str(RETRAIN_AFTER),
            "QUIET_SECONDS": str(QUIET_SECONDS),
            "QUEUE_SIZE": str(QUEUE_SIZE),
            "RECONCILE_SECONDS": "3600",  # webhooks alone must do
            "REASK": "off",  # labels that are asked again would stand before the queue whose order is looked at
        } | more
        with (folder / "plugin.log").open("wb") as log:
            plugin = Plugin(values, log)
            plugin.start()
        settings = Settings(**{name.lower(): value for name, value in values.items()})
        yield House(server.client(), settings, plugin, values, folder, connect_redis(settings))
    finally:
        if plugin:
            plugin.stop()
        server.stop()
        if plugin:
            print((folder / "plugin.log").read_text()[-6000:])


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[House]:
    """Start everything once for all end-to-end tests."""
    with open_house(tmp_path_factory.mktemp("house"), weights) as house:
        yield house


@contextmanager
def second_plugin(house: House, folder: Path, **values: str) -> Iterator[House]:
    """Another plugin on the same Label Studio, with `values` as its settings and its DATA_DIR in `folder`."""
    values = house.values | {"DATA_DIR": str(folder / "data"), "PORT": str(free_port())} | values
    with (folder / "plugin.log").open("wb") as log:
        plugin = Plugin(values, log)
        try:
            plugin.start()
            settings = Settings(**{name.lower(): value for name, value in values.items()})
            yield House(house.admin, settings, plugin, values, folder, connect_redis(settings))
        finally:
            plugin.stop()
            print((folder / "plugin.log").read_text()[-6000:])


@pytest.fixture(scope="session")
def insects(shared: Path) -> dict[str, tuple[str, Path]]:
    """Photos of ants and bees in a fixed random order, under names that give nothing away."""
    return ls.anonymous_names(images_by_class(shared / "data" / "hymenoptera"))


def first(named: dict[str, tuple[str, Path]], start: int, stop: int) -> dict[str, tuple[str, Path]]:
    """A part of the photos."""
    return dict(list(named.items())[start:stop])


@pytest.fixture(scope="package")  # playwright's event loop must be gone before other tests of this process run theirs
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright; tests are skipped without it, except under .ci/run."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("AL_REQUIRE_SHARED"):
            pytest.fail("there is no chromium: .ci/run installs it")
        pytest.skip("there is no chromium: `apt-get install chromium`")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=180_000)
        yield browser
        browser.close()
