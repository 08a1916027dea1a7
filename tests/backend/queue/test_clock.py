"""Machines whose clocks differ by an hour do each other's jobs on time, and take none from each other.

The clock of a worker's process is moved by Debian's `faketime`.
"""

import os
import shutil
import time
from datetime import UTC, datetime

import pytest
from rq import Worker

from backend.queue import clock
from tests.backend.queue.test_worker import starts, wait_for, workers

HOUR = 3600


@pytest.fixture(params=["+1h", "-1h"])
def off(request):
    """By how much a worker's clock is off."""
    if not shutil.which("faketime"):
        if os.environ.get("AL_REQUIRE_SHARED"):
            pytest.fail("faketime is missing: .ci/run installs it")
        pytest.skip("faketime is missing: apt-get install faketime")
    return request.param


@pytest.mark.soak
def test_a_worker_with_another_clock_starts_a_job_when_it_is_due(work, redis_settings, kind_of_naps, off):
    kind_of_naps("nap")
    with workers(redis_settings, 1, clock=off):
        first = work.job(work.wake("nap", 1))
        wait_for(lambda: first.get_status() == "finished", 60)
        work.begin("nap", 1, 0)
        later = work.job(work.wake("nap", 1, delay=3))
        _, seconds = wait_for(lambda: later.get_status() == "finished", 30)
        assert seconds > 2


@pytest.mark.soak
def test_a_worker_with_another_clock_leaves_jobs_to_those_that_do_them(work, redis_settings, kind_of_naps, off):
    kind_of_naps("nap", extra=(15,))
    with workers(redis_settings, 1), workers(redis_settings, 1, clock=off):  # each looks after the queues
        wait_for(lambda: len(Worker.all(connection=work.redis)) == 2, 60)
        job = work.job(work.wake("nap", 1))
        wait_for(lambda: job.get_status() == "finished", 60)
    assert len(starts(work)) == 1


def test_the_clock_that_is_followed_is_that_of_redis(redis, monkeypatch):
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + HOUR)
    clock.follow(redis)
    monkeypatch.undo()
    assert (datetime.now(UTC) - clock.now()).total_seconds() == pytest.approx(HOUR, abs=1)
    clock.follow(redis)
    assert (datetime.now(UTC) - clock.now()).total_seconds() == pytest.approx(0, abs=1)
