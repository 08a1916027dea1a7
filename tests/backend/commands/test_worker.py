"""What a worker has ready before its first job."""

import hashlib
import os
import subprocess
import sys

import pytest
from rq import Worker

from backend.commands.worker import warm_up
from backend.project.session import Session
from backend.project.sharing import projects_of
from backend.queue.redis_server import redis_url
from backend.queue.work import TRAIN, Work
from model.networks.arithmetic import fastest
from tests.backend.queue.test_worker import wait_for
from tests.conftest import ROOT

FRESH = """
import os, sys
from pathlib import Path
from backend.commands.worker import warm_up
from backend.project.session import Session
from backend.settings import Settings
from model.networks.arithmetic import fastest
from model.networks.weights_file import WeightsError
settings = Settings(data_dir=Path(sys.argv[1]), model_weights=Path(sys.argv[2]), label_studio_api_key="x")
warm_up(settings, fastest())
from backend.project.embedding import get_backbone
before = set(sys.modules)
with Session(settings, 1) as session:
    session.store
    try:
        get_backbone(session.backbones.spec(session.backbone), Path(sys.argv[1]))
    except WeightsError:
        pass  # there are none in that file
print(sorted(set(sys.modules) - before))
"""


@pytest.fixture
def file_of_weights(tmp_path):
    """A file to be named by its content; it is never loaded."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"weights")
    return path


def test_a_job_imports_nothing_that_the_worker_has_not(tmp_path, file_of_weights):
    done = subprocess.run(
        [sys.executable, "-c", FRESH, tmp_path / "data", file_of_weights], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_job_does_not_read_the_weights_to_name_them(make_settings, file_of_weights, monkeypatch):
    settings = make_settings(model_weights=file_of_weights, label_studio_api_key="x")
    warm_up(settings, fastest())
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("the file was read again"))
    with Session(settings, 1) as session:
        assert hashlib.sha256(b"weights").hexdigest()[:12] in session.backbone


def test_weights_that_are_gone_are_left_for_a_job_to_tell(make_settings, tmp_path):
    warm_up(make_settings(model_weights=tmp_path / "nowhere"), fastest())


def test_with_a_store_the_jobs_of_one_worker_can_all_use_it(
    object_store, make_settings, redis_settings, redis, file_of_weights
):
    values = {
        "STORE": object_store.new_folder(),
        "REDIS_URL": redis_url(redis_settings),
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",
    }
    values |= {"MODEL_WEIGHTS": str(file_of_weights), "LABEL_STUDIO_API_KEY": "x"}
    settings = make_settings(store=values["STORE"], redis_url=values["REDIS_URL"])
    projects = projects_of(settings)
    with projects.edit(1) as state:
        state.connected = True
    environment = os.environ | values | {"DATA_DIR": str(settings.data_dir / "of another machine")}
    command = [sys.executable, "-m", "backend", "worker", TRAIN]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as worker:
        try:
            Work(redis, 1).wake("round", 1)  # and of itself the worker looks after each connected project
            wait_for(lambda: {"round", "reconcile"} <= projects.read(1).errors.keys(), 180)
        finally:
            worker.kill()
    assert all("waits: " in error for error in projects.read(1).errors.values())  # for a Label Studio
    assert projects.settled_arithmetic()


STOPPED = """
import atexit, sys
from backend.__main__ import main
atexit.register(lambda: print("taken apart"))
sys.exit(main(["worker", "al-finetune"]))
"""


def test_a_worker_that_is_told_to_stop_does_not_take_apart_what_it_imported(redis, redis_settings, file_of_weights):
    told = {"REDIS_URL": redis_url(redis_settings), "DATA_DIR": str(redis_settings.data_dir)}
    told |= {"MODEL_WEIGHTS": str(file_of_weights), "LABEL_STUDIO_API_KEY": "x"}
    command = [sys.executable, "-c", STOPPED]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: [worker for worker in Worker.all(connection=redis) if worker.get_state() == "idle"], 180)
            process.terminate()
            said, log = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, ""), log
    assert "unsubscribing" in log.splitlines()[-1]  # the last thing that RQ does
    assert Worker.all(connection=redis) == []
