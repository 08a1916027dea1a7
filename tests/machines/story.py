"""Not collected by itself: `test_machines.py` runs it in a network of its own. Label Studio, Redis and an object store stand
at one address; a server and two workers are machines of their own, and have no disk in common.

The tests build on each other and run in their order.
"""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError
from safetensors.numpy import load

from backend.bench import label_studio as ls
from backend.bench.child import free_port
from backend.processes import die_with_parent
from backend.queue.redis_server import newest_redis
from model.storage.bucket import Bucket
from tests.conftest import every_prediction
from tests.e2e.conftest import Annotator, first, insects, label_studio_venv, wait_until
from tests.machines.network import HERE, Machine, build_network
from tests.object_store import ObjectStore

__all__ = ["insects"]
IMAGES, CLASSES = 330, ["ants", "bees"]
PORT = 9090
SERVER, FIRST, SECOND = 2, 3, 4  # the machines' numbers


class World:
    """What the machines reach, and they themselves."""

    def __init__(self, folder: Path, weights: Path) -> None:
        build_network()
        self.folder = folder
        self.studio = ls.LabelStudioServer(label_studio_venv(), folder / "label-studio", free_port(), address="0.0.0.0")  # noqa: S104
        self.studio.start()
        self.admin = self.studio.client()
        self.store = ObjectStore(HERE)
        os.environ |= self.store.environment
        port = free_port()
        self._redis = subprocess.Popen(
            [str(newest_redis()[0]), "--port", str(port), "--bind", HERE, "--protected-mode", "no", "--save", ""],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        self.redis = Redis(HERE, port)
        wait_until(self._redis_answers)
        self.url = self.store.new_folder()
        values = {
            "LABEL_STUDIO_URL": f"http://{HERE}:{self.studio.url.rpartition(':')[2]}",
            "LABEL_STUDIO_API_KEY": self.studio.personal_access_token(),
            "BACKEND_URL": f"http://10.77.0.{SERVER}:{PORT}",
            "REDIS_URL": f"redis://{HERE}:{port}/0",
            "STORE": self.url,
            "PORT": str(PORT),
            "BASIC_AUTH_USER": "label-studio",
            "BASIC_AUTH_PASS": "secret",
            "MODEL_WEIGHTS": str(weights),
            "RETRAIN_AFTER": "10",
            "QUIET_SECONDS": "4",
            "QUEUE_SIZE": "40",
            "RECONCILE_SECONDS": "20",
            "REASK": "off",
            "EXPLORE": "0.5",
            "FINETUNE_MINUTES": "1",
        } | self.store.environment
        disk = folder / "disk"
        names = {SERVER: "server", FIRST: "first", SECOND: "second"}
        self.machines = {number: Machine(name, number, disk, values) for number, name in names.items()}

    def _redis_answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except (RedisError, OSError):
            return False

    @property
    def bucket(self) -> Bucket:
        """What all machines have in common."""
        return Bucket(self.url)

    def rows(self, project: int) -> Counter[tuple[str, int]]:
        """How often each image's embedding is in the store, by backbone and key."""
        names = [name for name in self.bucket.objects(f"projects/{project}/embeddings") if name.endswith(".safetensors")]
        keys: Counter[tuple[str, int]] = Counter()
        for name in names:
            if found := self.bucket.read(name):
                backbone = name.split("/")[-2]
                keys.update((backbone, key) for key in load(found.data)["keys"].tolist())
        return keys

    def labelled(self, project: int) -> set[int]:
        """Tasks with a label."""
        return {task["id"] for page in self.admin.tasks(project) for task in page if task["annotations"]}

    def learned(self, project: int) -> set[int]:
        """Tasks whose labels the live version has learned, as the store has it."""
        name = self.admin.project(project)["model_version"]
        found = self.bucket.read(f"projects/{project}/versions/{name}/labels.safetensors")
        return set(load(found.data)["tasks"].tolist()) if found else set()

    def label(self, annotator: Annotator, project: int, named: dict[str, tuple[str, Path]], count: int) -> None:
        """Label what the queue gives, one after the other."""
        for _ in range(count):
            task = annotator.next(project)
            assert task, "the queue has come to an end"
            annotator.label(task, named[ls.name_of(task)][0])

    def wait_until_learned(self, project: int, seconds: float) -> float:
        """The seconds until the live version has learned every label."""
        begun, wanted = time.monotonic(), self.labelled(project)
        wait_until(lambda: wanted <= self.learned(project), seconds, "every label is learned")
        return time.monotonic() - begun

    def is_in_order(self, project: int, annotator: Annotator) -> bool:
        """Whether the next task is the first of the live version's queue, and no task has two of its predictions."""
        live = self.admin.project(project)["model_version"]
        mine = [p for p in every_prediction(self.admin, project) if p["model_version"] == live]
        assert max(Counter(p["task"] for p in mine).values()) == 1
        open_ones = [p for p in mine if p["task"] not in self.labelled(project)]
        task = annotator.next(project)
        return bool(task) and task["id"] == min(open_ones, key=lambda p: p["score"])["task"]

    def close(self) -> None:
        """End all."""
        self.studio.stop()
        self.store.close()
        self._redis.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory, weights) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"), weights)
    try:
        with world.machines[SERVER], world.machines[FIRST], world.machines[SECOND]:
            yield world
            for machine in world.machines.values():
                for command in machine.processes:
                    print(f"--- {machine.name} {command}\n{machine.log(command).read_text()[-3000:]}")
    finally:
        world.close()


@pytest.fixture(scope="module")
def annotator(world):
    return Annotator(world.admin)


@pytest.fixture(scope="module")
def project(world, insects):
    """A project that the server's machine has connected."""
    server = world.machines[SERVER]
    server.start("serve")
    wait_until(lambda: answers(f"http://{server.address}:{PORT}/health"), 120, "the server answers")
    named = first(insects, 0, IMAGES)
    project = ls.find_or_make_project(world.admin, "Machines", CLASSES)
    ls.import_images(world.admin, project, named, lambda *_: None)
    ls.wait_for_tasks(world.admin, project, len(named))
    for number in (FIRST, SECOND):
        world.machines[number].start("worker")
    server.run("connect", "--project", str(project))
    return project


def answers(url: str) -> bool:
    """Whether somebody answers there, credentials or not."""
    try:
        return httpx.get(url, timeout=2, auth=("label-studio", "secret")).status_code < 500
    except httpx.HTTPError:
        return False


def test_machines_have_no_disk_in_common(world):
    server, first_one, _ = world.machines.values()
    path = str(server.data_dir.parent / "mine")
    assert server.execute("-c", f"open({path!r}, 'w')").returncode == 0
    assert first_one.execute("-c", f"open({path!r})").returncode != 0
    assert not Path(path).exists()


def test_a_worker_that_is_killed_midway_costs_no_image(world, project):
    """Within the time of one hand-over another has embedded its share, and none is there twice."""
    second = world.machines[SECOND]
    wait_until(lambda: len(world.rows(project)) >= 64, 180, "the first images are embedded")
    second.kill("worker")
    wait_until(lambda: len(world.rows(project)) == IMAGES, 180, "all are")
    second.start("worker")
    assert set(world.rows(project).values()) == {1}


def test_labels_are_learned_on_any_machine_and_the_queue_follows(world, project, annotator, insects):
    world.label(annotator, project, insects, 20)
    print(f"20 labels were learned {world.wait_until_learned(project, 120):.1f} s after the last")
    wait_until(lambda: world.is_in_order(project, annotator), 60, "the queue is in order")
    told = json.loads(world.machines[SERVER].run("status", "--json"))
    (one,) = [entry for entry in told["projects"] if entry["project"] == project]
    assert one["live"] == world.admin.project(project)["model_version"]
    assert not one["last_error"]


def test_redis_may_lose_everything(world, project, annotator, insects):
    world.label(annotator, project, insects, 5)
    world.redis.flushall()
    print(f"after FLUSHALL all was learned within {world.wait_until_learned(project, 240):.1f} s, though nobody labelled on")
    world.label(annotator, project, insects, 4)
    world.redis.flushall()
    world.label(annotator, project, insects, 4)
    print(f"and within {world.wait_until_learned(project, 240):.1f} s with labels on both sides of it")
    wait_until(lambda: world.is_in_order(project, annotator), 60, "the queue is in order")


def test_the_store_may_be_away_for_20_seconds(world, project, annotator, insects):
    world.label(annotator, project, insects, 3)
    with world.store.away():
        begun = time.monotonic()
        world.label(annotator, project, insects, 8)  # Label Studio waits a second at most for each webhook
        took = time.monotonic() - begun
        print(f"8 labels took {took:.1f} s while the store was away")
        time.sleep(max(0, 20 - took))
    assert took < 60, "nobody waited for the store, which was away as long as they labelled"
    print(f"once it was back all was learned within {world.wait_until_learned(project, 240):.1f} s")
    wait_until(lambda: world.is_in_order(project, annotator), 60, "the queue is in order")


def test_a_network_is_retrained_on_one_machine_and_known_on_all(world, project, annotator, insects):
    world.label(annotator, project, insects, max(0, 44 - len(world.labelled(project))))  # half are kept to judge the result
    tuner = world.machines[SECOND]
    tuner.kill("worker")
    tuner.start("worker", "al-finetune", "al-train", "al-housekeeping", "al-embed")
    wait_until(lambda: world.redis.scard("rq:workers:al-finetune"), 120, "it takes jobs")
    world.machines[SERVER].run("retrain", "--project", str(project), "--finetune", "last")

    def outcome() -> dict:
        told = json.loads(world.machines[SERVER].run("status", "--json"))
        return next(entry for entry in told["projects"] if entry["project"] == project)

    wait_until(lambda: outcome()["finetuned"], 300, "it is known what came of it")
    print(f"fine-tuned: {outcome()['finetuned']}")
    world.label(annotator, project, insects, 10)
    world.wait_until_learned(project, 240)
    wait_until(lambda: world.is_in_order(project, annotator), 60, "the queue is in order")
