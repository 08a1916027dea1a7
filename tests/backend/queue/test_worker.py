"""Workers as processes: they do their jobs, and when one is killed the others start what it left behind within seconds."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

import backend.queue.work
from backend.queue.redis_server import redis_url
from backend.queue.signs import unfit_of
from backend.queue.work import TRAIN
from backend.queue.worker import ActiveLearningMixin
from tests.conftest import ROOT

STARTED_SECONDS = 180  # within which a worker begins its first job, on a busy machine too
WORKER = """
import sys
from redis import Redis
from backend.queue import worker
from backend.queue.clock import follow
if sys.argv[2] == "spawn":
    worker.worker_class = lambda: worker.SpawningWorker
worker.UNFIT_SECONDS = 1
redis = Redis.from_url(sys.argv[1])
follow(redis)
worker.run_worker(redis, [{queue!r}], lambda: None, "WARNING", lambda: (redis.get("unfit") or b"").decode())
"""


@contextmanager
def workers(settings, count, how="fork", clock=""):
    """Worker processes on the queue of rounds, on whose clock it is now, or as much off as `clock` says."""
    environment = os.environ | ({"LD_PRELOAD": "/usr/$LIB/faketime/libfaketime.so.1", "FAKETIME": clock} if clock else {})
    with processes([WORKER.format(queue=TRAIN), redis_url(settings), how], count, environment) as started:
        yield started


@contextmanager
def processes(script, count, environment=os.environ):
    """As many Pythons that run `script`, the code and what it is called with; killed at the end."""
    started = [subprocess.Popen([sys.executable, "-c", *script], cwd=ROOT, env=environment) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_for(condition, seconds):
    """The first true value of `condition`, and the seconds it took."""
    started = time.monotonic()
    while not (value := condition()):
        assert time.monotonic() < started + seconds, f"not within {seconds} s"
        time.sleep(0.1)
    return value, time.monotonic() - started


def starts(work):
    """When jobs of project 1 began."""
    return [float(moment) for moment in work.redis.lrange("naps:1", 0, -1)]


def worker_of(work, job_id, processes):
    """The process that runs the job."""
    pid = int(work.redis.hget(f"rq:worker:{work.job(job_id).worker_name}", "pid"))
    return next(process for process in processes if process.pid == pid)


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_a_job_scheduled_for_now_and_one_for_later_are_done(work, redis_settings, kind_of_naps, how):
    kind_of_naps("nap")
    with workers(redis_settings, 1, how):
        job = work.job(work.wake("nap", 1))
        wait_for(lambda: job.get_status() == "finished", STARTED_SECONDS)
        assert job.return_value() == "slept"
        work.begin("nap", 1, 0)
        later = work.job(work.wake("nap", 1, delay=2))
        _, seconds = wait_for(lambda: later.get_status() == "finished", 30)
        assert seconds > 1


def test_a_worker_that_does_not_fit_says_so_and_takes_no_job_until_it_does(work, redis, redis_settings, kind_of_naps):
    kind_of_naps("nap")
    redis.set("unfit", "it is of version 0.1.0")
    with workers(redis_settings, 1):
        (worker,) = wait_for(lambda: Worker.all(connection=redis), STARTED_SECONDS)[0]
        wait_for(lambda: unfit_of(redis, worker.key) == "it is of version 0.1.0", STARTED_SECONDS)
        job = work.job(work.wake("nap", 1))
        time.sleep(3)
        assert job.get_status() == "queued"
        redis.delete("unfit")
        wait_for(lambda: job.get_status() == "finished", 30)
        assert unfit_of(redis, worker.key) == ""


def test_the_round_of_a_killed_worker_starts_again_within_20_seconds(work, redis_settings, kind_of_naps):
    kind_of_naps("nap", extra=(60,))
    with workers(redis_settings, 2) as processes:
        job_id = work.wake("nap", 1)
        wait_for(lambda: starts(work), STARTED_SECONDS)
        worker_of(work, job_id, processes).kill()
        _, seconds = wait_for(lambda: len(starts(work)) == 2, 20)
        print(f"started again {seconds:.1f} s after kill -9 of its worker")
        assert work.job(job_id).retries_left == 1


@pytest.mark.soak
def test_a_killed_worker_takes_its_job_with_it(work, redis_settings, kind_of_naps):
    kind_of_naps("nap", extra=(60,))
    with workers(redis_settings, 1) as [process]:
        work.wake("nap", 1)
        wait_for(lambda: starts(work), STARTED_SECONDS)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        assert len(children) == 1, "the job's process is all that a worker starts"
        process.kill()
        process.wait()
        alive = ["kill", "-0", children[0]]
        wait_for(lambda: subprocess.run(alive, capture_output=True).returncode, 5)


def test_a_job_that_was_taken_off_its_queue_and_not_begun_comes_back(work, redis, monkeypatch):
    monkeypatch.setattr(backend.queue.work, "LOST_SECONDS", 1)
    job_id = work.wake("round", 1)
    redis.lmove(f"rq:queue:{TRAIN}", f"rq:queue:{TRAIN}:intermediate")  # all that a worker did before it was killed
    found, _ = wait_for(work.upkeep, 5)
    assert found == [job_id]
    assert work._queues[TRAIN].get_job_ids() == [job_id]
    assert redis.lrange(f"rq:queue:{TRAIN}:intermediate", 0, -1) == []


def test_a_lock_that_a_killed_worker_held_is_free_again(work, redis):
    redis.sadd("rq:rl-keys", "al:publish:1")
    redis.zadd("rq:rl:al:publish:1:allowed", {"round-1-77": 1})
    work.wake("round", 1)
    assert work._queues[TRAIN].get_job_ids() == []
    work.upkeep()
    assert work._queues[TRAIN].get_job_ids() == ["round-1-0"]


class Here(ActiveLearningMixin, SimpleWorker):
    """Does its jobs in this process."""


def test_a_job_whose_function_has_moved_runs_where_it_is_now(work, kind_of_naps):
    kind_of_naps("where_it_was", extra=(0,))
    job = work.job(work.wake("nap", 1))
    kind_of_naps("nap")
    Here([TRAIN], connection=work.redis, serializer=JSONSerializer).work(burst=True)
    assert job.return_value() == "slept"
    assert len(starts(work)) == 1


@pytest.mark.soak
def test_a_worker_that_is_asked_to_stop_finishes_its_job_first(work, redis_settings, kind_of_naps):
    kind_of_naps("nap", extra=(3,))
    with workers(redis_settings, 1) as [process]:
        job = work.job(work.wake("nap", 1))
        wait_for(lambda: starts(work), STARTED_SECONDS)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert job.get_status() == "finished"


def test_a_foreign_job_without_a_lock_is_not_held_up(redis, work):
    queue = Queue(TRAIN, connection=redis, serializer=JSONSerializer)
    job = queue.enqueue("tests.backend.queue.naps.nap", args=[1, 0])
    queue.remove(job)
    queue.scheduled_job_registry.schedule(job, job.created_at)
    work.upkeep()
    assert queue.get_job_ids() == [job.id]
