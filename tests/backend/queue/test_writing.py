"""Rounds wait while a group is written, but not for ever."""

import threading
import time

import pytest

from backend.queue import writing as module
from backend.queue.writing import KEY, wait_until_written, writing


def test_whoever_waits_goes_on_once_the_group_is_written(redis):
    waited = threading.Thread(target=wait_until_written, args=(redis, 3))
    with writing(redis, 3):
        waited.start()
        waited.join(0.3)
        assert waited.is_alive()
    waited.join(5)
    assert not waited.is_alive()


def test_nobody_waits_for_another_project(redis):
    with writing(redis, 4):
        started = time.monotonic()
        wait_until_written(redis, 3)
        assert time.monotonic() - started < 5


def test_a_server_that_dies_while_it_writes_holds_nothing_up_for_long(redis, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 1)
    redis.set(KEY.format(3), 1)
    wait_until_written(redis, 3)
    assert redis.exists(KEY.format(3))
    with writing(redis, 3):
        assert 0 < redis.pttl(KEY.format(3)) <= 1000


def test_writing_that_fails_lets_rounds_go_on(redis):
    with pytest.raises(OSError), writing(redis, 3):  # noqa: PT011
        raise OSError
    assert not redis.exists(KEY.format(3))
