"""The services of docker-compose.yml, run as processes for all tests in this folder."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.bench import label_studio as ls
from backend.labelstudio.client import LabelStudio
from backend.queue.redis_server import newest_redis
from tests.containers import postgres
from tests.containers.files import VALUES
from tests.containers.services import Stack
from tests.e2e.conftest import label_studio_venv

PLUGIN = {"server": 1, "worker": 2, "finetuner": 1}


@pytest.fixture(scope="package")
def machine(weights: Path) -> Iterator[Stack]:
    """Where the services run; none is started yet."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # for PostgreSQL's user
        venv = label_studio_venv().absolute()
        path = [Path(sys.executable).parent, Path(str(newest_redis()[0])).parent, postgres.programs(folder), venv / "bin"]
        users = {"postgres": owner} if (owner := postgres.user()) else {}
        stack = Stack(folder, VALUES | {"MODEL_WEIGHTS": str(weights)}, path, users)
        yield stack
        stack.down()


@pytest.fixture
def stack(machine: Stack) -> Stack:
    """Redis, server, two workers and the fine-tuner, all healthy."""
    machine.up(**PLUGIN)
    return machine


@pytest.fixture(scope="package")
def label_studio(machine: Stack) -> LabelStudio:
    """A client of a Label Studio on a fresh PostgreSQL, made as README.md says: everything is started, somebody signs up and
    makes a token, and everything is started again with it."""
    postgres.make_database(machine.services["postgres"])
    machine.services["label-studio"].environment.update(postgres.WITHOUT_EXTENSIONS)
    machine.up(**PLUGIN, **{"label-studio": 1})
    server = ls.LabelStudioServer(label_studio_venv(), machine.folder, int(machine.ports["8080"]))
    with httpx.Client(base_url=server.url, timeout=60) as browser:
        ls.sign_up(browser, ls.USER, ls.PASSWORD)
    machine.read(machine.values | {"LABEL_STUDIO_API_KEY": server.personal_access_token()})
    return server.client()
