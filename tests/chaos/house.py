"""A whole plugin beside a Label Studio in memory, an annotator who labels all the while, and what can be broken in it."""

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

from backend.bench.label_studio import label_config
from backend.bench.plugin import Plugin
from backend.queue.redis_server import connect_redis
from backend.queue.work import TRAIN
from backend.records.state import Projects
from backend.settings import Settings
from model.version_store import VersionError, VersionStore
from tests.label_studio_in_memory import TOKEN, LabelStudioInMemory

CLASSES = ["red", "blue"]
AHEAD = 6  # labels that wait to be learned, at which the annotator takes a rest: a slow machine must not run out of tasks


def photo(number: int) -> bytes:
    """A small photo, reddish where `number` is even and bluish where it is odd, no two alike."""
    noise = np.random.default_rng(number).integers(0, 120, (16, 16, 3), dtype=np.uint8)
    noise[..., 0 if number % 2 == 0 else 2] += 100
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


class House:
    """Label Studio in memory, `python -m backend up`, and one project of `images` photos."""

    def __init__(self, studio: LabelStudioInMemory, folder: Path, port: int, weights: Path, images: int) -> None:
        self.studio = studio
        self.project = studio.add_project(label_config(CLASSES), [f"/data/upload/{n}.png" for n in range(images)])
        studio.files |= {f"/data/upload/{n}.png": photo(n) for n in range(images)}
        self.data_dir = folder / "data"
        self.values = {
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "DATA_DIR": str(self.data_dir),
            "PORT": str(port),
            "MODEL_WEIGHTS": str(weights),
            "RETRAIN_AFTER": "3",
            "QUIET_SECONDS": "2",
            "QUEUE_SIZE": "30",
            "RECONCILE_SECONDS": "15",
        }
        self.settings = Settings(**{name.lower(): value for name, value in self.values.items()})
        self.log = (folder / "plugin.log").open("ab")
        self.plugin = Plugin(self.values, self.log)
        self.wrong_queues: list[str] = []
        self._stop = threading.Event()

    @property
    def folder(self) -> Path:
        """Where the plugin keeps all about the project."""
        return Projects(self.data_dir).folder(self.project)

    def labelled(self) -> set[int]:
        """Tasks with a label in Label Studio."""
        return {a["task"] for a in list(self.studio.annotations.values())}

    def live(self) -> str:
        """The version that Label Studio follows."""
        return str(self.studio.projects[self.project]["model_version"])

    def learned(self) -> set[int]:
        """Tasks whose labels the live version has learned."""
        try:
            return set(VersionStore(self.folder / "versions").load(self.live()).tasks.tolist())
        except VersionError:
            return set()

    @contextmanager
    def somebody_labels(self, every: float) -> Any:
        """An annotator who takes what is served and submits it, as long as the block runs."""
        self._stop.clear()
        thread = threading.Thread(target=self._label, args=(every,))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _label(self, every: float) -> None:
        with httpx.Client(base_url=self.studio.url, headers={"Authorization": f"Bearer access-{TOKEN}"}) as http:
            while not self._stop.wait(every):
                if len(self.labelled() - self.learned()) >= AHEAD:
                    continue
                answer = http.get(f"/api/projects/{self.project}/next")
                if answer.status_code != 200:  # out of order for the moment: nobody can label
                    continue
                self._look_at_queue()
                task = answer.json()
                number = int(task["data"]["image"].rsplit("/", 1)[1].split(".")[0])
                self.studio.label(task["id"], CLASSES[number % 2])
                self._send_webhook(task["id"])

    def _look_at_queue(self) -> None:
        row = self.studio.projects[self.project]
        served = {p["model_version"] for p in list(self.studio.predictions.values())}
        if row["sampling"] != "Uncertainty sampling" or row["model_version"] not in served:
            self.wrong_queues.append(f"{row['sampling']} of {row['model_version']!r}, stored are {served}")

    def _send_webhook(self, task: int) -> None:
        """As Label Studio does: within a second or not at all."""
        body = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "task": task}, "project": {"id": self.project}}
        try:
            httpx.post(f"http://127.0.0.1:{self.values['PORT']}/webhook", json=body, timeout=1, trust_env=False)
        except httpx.HTTPError:
            return  # lost for good

    # what can be broken

    def label_studio_answers(self, status: int, seconds: float) -> None:
        """Label Studio is out of order for a while."""
        self.studio.out_of_order = status
        time.sleep(seconds)
        self.studio.out_of_order = 0

    def wait_for_a_round(self) -> None:
        """Until a round is at work."""
        with connect_redis(self.settings) as redis:
            running = f"rq:wip:{TRAIN}"
            wait_until(lambda: any(b"round-" in entry for entry in redis.zrange(running, 0, -1)), 60, "a round", every=0.01)

    def kill(self, *words: str) -> None:
        """kill -9 the process of the plugin's whose command has these words."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes().decode().replace("\0", " ")
                environment = (path / "environ").read_bytes().decode()
            except OSError:
                continue
            if all(word in command for word in words) and str(self.data_dir) in command + environment:
                os.kill(int(path.name), signal.SIGKILL)
                return
        raise AssertionError(f"no process {words}")

    def kill_up(self) -> None:
        """kill -9 `up` itself and start it again at once."""
        self.kill("backend", " up")
        while self.plugin.alive():
            time.sleep(0.01)
        self.plugin.start()

    def damage_index(self) -> None:
        """Overwrite the middle of the index while it is open."""
        with (self.folder / "index.sqlite").open("r+b") as file:
            file.write(os.urandom(8192))

    def damage_state(self) -> None:
        """Leave half of project.json."""
        path = self.folder / "project.json"
        path.write_bytes(path.read_bytes()[:40])

    def damage_embeddings(self) -> None:
        """NaN in a shard whose keys are sound."""
        shard = next(iter(sorted((self.folder / "embeddings").glob("*/*.safetensors"))))
        values = load_file(shard)
        values["embeddings"][::2] = np.nan
        save_file(values, shard.with_suffix(".new"))
        shard.with_suffix(".new").rename(shard)


def wait_until(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.2) -> float:
    """The seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, f"not within {seconds} s: {what}"
        time.sleep(every)
    return time.monotonic() - started
