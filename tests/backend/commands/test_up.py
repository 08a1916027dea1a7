"""`al-backend up`: one process tree that heals itself and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backend.queue.redis_server import connect_redis
from backend.settings import Settings
from tests.conftest import ROOT, runs
from tests.e2e.conftest import free_port, wait_until


def children(pid):
    """All descendants of a process: pid -> command line."""
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = path.read_text()
                command = (path.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            fields = text.rsplit(")", 1)[1].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found[int(path.parent.name)] = command
                todo.append(int(path.parent.name))
    return found


def alive(pids):
    """Those of `pids` that still run."""
    return [pid for pid in pids if runs(pid)]


@pytest.fixture
def tree(tmp_path):
    """A running `up`, its server's address, and its settings."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    environment |= {"DATA_DIR": str(tmp_path / "data"), "PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "backend", "up"], env=environment, cwd=ROOT)
    process.url = f"http://127.0.0.1:{port}"
    process.settings = Settings(data_dir=tmp_path / "data")
    wait_until(lambda: answers(process.url), what="the server is up")
    wait_until(lambda: sum("worker" in c for c in children(process.pid).values()) >= 3, what="the workers run")
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def answers(url):
    """Whether the server is up."""
    try:
        return httpx.get(url + "/health").is_success
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "SIGTERM", "kill -9"])
def test_nothing_outlives_it(tree, how):
    pids = children(tree.pid)
    tree.send_signal(how)
    tree.wait(30)
    wait_until(lambda: not alive(pids), 20, "no orphan is left")


def test_a_server_that_dies_comes_back(tree):
    (server,) = [pid for pid, command in children(tree.pid).items() if "backend serve" in command]
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: not alive([server]))
    wait_until(lambda: answers(tree.url), 30, "the server is back")


def test_a_redis_that_dies_comes_back_with_its_data(tree):
    connect_redis(tree.settings).set("al:test", "kept")
    (redis,) = [pid for pid, command in children(tree.pid).items() if "redis-server" in command]
    wait_until(lambda: connect_redis(tree.settings).info("persistence")["aof_pending_bio_fsync"] == 0)
    os.kill(redis, signal.SIGTERM)
    wait_until(lambda: not alive([redis]))

    def back():
        try:
            return connect_redis(tree.settings).get("al:test") == b"kept"
        except RuntimeError:
            return False

    wait_until(back, 30, "Redis is back with its data")
    assert httpx.post(tree.url + "/webhook", json={"action": "START_TRAINING", "project": {"id": 1}}).status_code == 201
