"""A Label Studio of one's own with a project of photos and the plugin beside it, for the measures that need one."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from backend.bench.child import free_port
from backend.bench.figures import Bench, Skipped
from backend.bench.label_studio import LabelStudioServer, find_or_make_project, import_images, name_of, wait_for_tasks
from backend.bench.photos import CLASSES, write_photos
from backend.bench.plugin import Plugin
from backend.labelstudio.client import LabelStudio
from model.version_store import VersionStore

RETRAIN_AFTER = 10
SETTLED_WITHIN = 300.0  # seconds: all photos are embedded then


@dataclass
class House:
    """label_studio: a client with all rights; plugin: `al-backend up`, running; project: one with `photos`, by name with class
    and file; predict_url: where /predict is asked; data_dir: the plugin's."""

    label_studio: LabelStudio
    plugin: Plugin
    project: int
    photos: dict[str, tuple[str, Path]]
    predict_url: str
    data_dir: Path

    @cached_property
    def first_queue(self) -> float:
        """Seconds that `connect` took for the project; connects it the first time."""
        return self.connect(self.project)

    def connect(self, project: int) -> float:
        """Connect a project; the seconds until its first queue was published. Raises RuntimeError."""
        started = time.perf_counter()
        done = self.plugin.command("connect", "--project", str(project), capture=True)
        if done.returncode:
            raise RuntimeError(f"The project could not be connected: {done.stderr.strip()[-500:]}")
        return time.perf_counter() - started

    def learned(self) -> int:
        """How many labels the version knows that the project's queue follows."""
        live = str(self.label_studio.project(self.project)["model_version"])
        return int(self.versions.about(live)["labels"])

    def settle(self) -> None:
        """Wait until nothing runs or waits for the project. Raises RuntimeError."""
        deadline = time.perf_counter() + SETTLED_WITHIN
        while time.perf_counter() < deadline:
            found = json.loads(self.plugin.command("status", "--json", capture=True).stdout)
            (jobs,) = [p["jobs"] for p in found["projects"] if p["project"] == self.project]
            if not [job for job in jobs if not job["id"].startswith("reconcile")]:  # which waits for its turn, always
                return
            time.sleep(1)
        raise RuntimeError(f"Jobs of the project still ran after {SETTLED_WITHIN:g} s")

    @property
    def versions(self) -> VersionStore:
        """The project's versions on disk."""
        return VersionStore(self.data_dir / "projects" / str(self.project) / "versions")

    def label_next(self) -> None:
        """Label the task that Label Studio serves next, as its folder says."""
        task = self.label_studio.request("GET", f"/api/projects/{self.project}/next")
        value = {"choices": [self.photos[name_of(task)][0]]}
        result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": value}]
        self.label_studio.request("POST", f"/api/tasks/{task['id']}/annotations/", json={"result": result})

    def predict(self, http: httpx.Client, tasks: list[dict[str, Any]]) -> float:
        """Ask for predictions of `tasks`; the seconds they took. Raises RuntimeError where one of them has none."""
        config = self.label_studio.project(self.project)["label_config"]
        body = json.dumps({"tasks": tasks, "project": f"{self.project}.1", "label_config": config}).encode()
        started = time.perf_counter()
        answer = http.post(self.predict_url, content=body, headers={"Content-Type": "application/json"})
        seconds = time.perf_counter() - started
        results = answer.raise_for_status().json()["results"]
        if missing := sum(not result["result"] for result in results):
            raise RuntimeError(f"{missing} of {len(results)} tasks were given no prediction")
        return seconds


@contextmanager
def open_house(bench: Bench) -> Iterator[House]:
    """Start all of it, with `bench.photos` photos. Raises Skipped where there is no Label Studio."""
    if bench.label_studio is None:
        raise Skipped("there is no Label Studio here: name one with --label-studio FILE, such as VENV/bin/label-studio")
    bench.say(f"  starting a Label Studio and importing {bench.photos} photos ...")
    photos = write_photos(bench.folder / "photos", bench.photos)
    server = LabelStudioServer(bench.label_studio.parent.parent, bench.folder / "label-studio", free_port())
    with ExitStack() as held:
        held.callback(server.stop)
        server.start()
        client = server.client()
        held.callback(client.http.close)
        project = find_or_make_project(client, "Benchmark", CLASSES)
        import_images(client, project, photos, lambda *_: None)
        wait_for_tasks(client, project, len(photos))
        port = free_port()
        values = {
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.personal_access_token(),
            "DATA_DIR": str(bench.folder / "plugin"),
            "PORT": str(port),
            "RETRAIN_AFTER": str(RETRAIN_AFTER),
            "LOG_LEVEL": "WARNING",
        }
        values |= {"MODEL_WEIGHTS": str(bench.weights.resolve())} if bench.weights else {}
        log = held.enter_context((bench.folder / "plugin.log").open("wb"))
        plugin = Plugin(values, log)
        held.callback(plugin.stop)
        plugin.start()
        yield House(client, plugin, project, photos, f"http://127.0.0.1:{port}/predict", bench.folder / "plugin")
