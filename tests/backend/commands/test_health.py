"""`al-backend health`: a sign of life of the server or of a worker, or a sentence about what is missing."""

import os
import re
import socket
import threading
from datetime import timedelta

import pytest
import uvicorn
from rq import Queue
from rq.serializers import JSONSerializer
from rq.utils import now, utcformat

from backend.__main__ import main
from backend.commands.health import check_server, check_worker
from backend.commands.shared import CommandError
from backend.queue.redis_server import redis_url
from backend.queue.work import EMBED, FINETUNE, QUEUES
from backend.queue.worker import ForkWorker
from backend.server.app import create_app
from backend.server.protocol import config
from backend.settings import get_settings
from tests.e2e.conftest import free_port, wait_until


@pytest.fixture
def worker(redis):
    """A worker of the default queues that has just registered itself, as one does at its start."""
    queues = [Queue(name, connection=redis, serializer=JSONSerializer) for name in QUEUES]
    registered = ForkWorker(queues, connection=redis, serializer=JSONSerializer)
    registered.register_birth()
    return registered


def test_a_worker_that_has_just_started_is_well(redis, worker):
    assert worker.hostname == socket.gethostname()
    assert re.search(r"sign of life \d s ago", check_worker(redis, QUEUES))


def test_without_a_worker_the_host_is_named(redis):
    with pytest.raises(CommandError, match=f"No worker of al-train, .* runs on {socket.gethostname()}"):
        check_worker(redis, QUEUES)


def test_a_worker_of_another_container_does_not_count(redis, worker):
    redis.hset(worker.key, "hostname", "another")
    with pytest.raises(CommandError, match="No worker"):
        check_worker(redis, QUEUES)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("queues", [(FINETUNE,), (EMBED,)], ids=["another", "one of several"])
def test_a_worker_of_other_queues_does_not_count(redis, queues):
    with pytest.raises(CommandError, match="No worker"):
        check_worker(redis, queues)


def test_a_worker_whose_process_is_gone_does_not_count(redis, worker):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    redis.hset(worker.key, "pid", child)
    with pytest.raises(CommandError, match="No worker"):
        check_worker(redis, QUEUES)


def test_a_worker_without_a_heartbeat_hangs(redis, worker):
    redis.hset(worker.key, "last_heartbeat", utcformat(now() - timedelta(seconds=90)))
    with pytest.raises(CommandError, match=r"last sign of life 9\d s ago: it hangs"):
        check_worker(redis, QUEUES)


def test_a_server_that_answers_is_well(redis_settings, make_settings):
    settings = make_settings(port=free_port(), data_dir=redis_settings.data_dir)
    server = uvicorn.Server(config(create_app(settings), settings.port))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    try:
        assert "The server answers" in check_server(settings)
    finally:
        server.should_exit = True
        thread.join()


def test_a_server_that_does_not_answer_is_not_well(make_settings):
    with pytest.raises(CommandError, match="The server is not well"):
        check_server(make_settings(port=free_port()))


def test_a_server_that_hangs_is_not_well(make_settings, monkeypatch):
    monkeypatch.setattr("backend.commands.health.ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(CommandError, match="nobody answers there"):
        check_server(make_settings(port=silent.getsockname()[1]))


@pytest.fixture
def _fresh_settings():
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("_fresh_settings")
def test_the_command_fails_with_a_sentence(capsys, monkeypatch):
    monkeypatch.setenv("PORT", str(free_port()))
    assert main(["health", "serve"]) == 1
    assert "error: The server is not well" in capsys.readouterr().err


def test_a_command_says_in_one_line_that_the_store_is_away(object_store, redis_settings, monkeypatch, tmp_path, capsys):
    for name, value in {
        "STORE": object_store.new_folder(),
        "REDIS_URL": redis_url(redis_settings),
        "DATA_DIR": tmp_path,
    }.items():
        monkeypatch.setenv(name, str(value))
    get_settings.cache_clear()
    try:
        with object_store.away():
            assert main(["status"]) == 1
    finally:
        get_settings.cache_clear()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: STORE=s3://")
