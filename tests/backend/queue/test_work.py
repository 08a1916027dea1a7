"""Waking work: coalesced, put off by labels, never lost; on a real Redis."""

import signal
import subprocess
import sys
import time
import zlib

import pytest
from rq.job import JobStatus
from rq.rate_limit import release_slot

from backend.queue.redis_server import redis_url
from backend.queue.work import TRAIN
from tests.conftest import ROOT


def due(work):
    """Waiting job ids with the seconds from now at which they are due; 0 for those in a queue or in line."""
    registry = work._queues[TRAIN].scheduled_job_registry
    waiting = [*work._queues[TRAIN].get_job_ids(), *work._in_line("publish", 1)]
    later = {i: registry.get_scheduled_time(i).timestamp() - time.time() for i in registry.get_job_ids()}
    return dict.fromkeys(waiting, 0.0) | later


def start(work, job_id):
    """Do to a job in its queue what a worker does that begins it."""
    job = work.job(job_id)
    work._queues[TRAIN].remove(job)
    with work.redis.pipeline() as pipeline:
        job.prepare_for_execution("a worker", pipeline)
        pipeline.execute()
    return job


def end(job, status):
    """Do what a worker does when a job has ended for good."""
    job.set_status(JobStatus(status))
    release_slot(job)


def fail(work, job):
    """Do what a worker does when a job has failed that has tries left."""
    with work.redis.pipeline() as pipeline:
        job.retry(work._queues[TRAIN], pipeline)
        pipeline.execute()
    release_slot(job)


def test_many_labels_make_one_round(work):
    ids = {work.wake("round", 1, delay=30, labels=1) for _ in range(2)}
    assert ids == {"round-1-0"}
    assert list(due(work)) == ["round-1-0"]


def test_a_label_puts_the_round_off_by_the_quiet_time(work):
    work.wake("round", 1, delay=10, labels=1)
    work.wake("round", 1, delay=40, labels=1)
    assert due(work)["round-1-0"] == pytest.approx(40, abs=3)


def test_enough_labels_start_it_at_once(work):
    for _ in range(3):
        work.wake("round", 1, delay=40, labels=1)
    assert due(work)["round-1-0"] <= 0


def test_start_training_is_not_put_off_by_a_later_label(work):
    work.wake("round", 1)
    work.wake("round", 1, delay=40, labels=1)
    assert due(work)["round-1-0"] <= 0


def test_a_later_wake_up_never_delays_an_earlier_one(work):
    work.wake("reconcile", 1, delay=5)
    work.wake("reconcile", 1, delay=300)
    assert due(work)["reconcile-1-0"] == pytest.approx(5, abs=3)


def test_a_label_during_a_round_makes_the_next_one(work):
    work.wake("round", 1, labels=3)
    work.begin("round", 1, 0)
    assert work.wake("round", 1, delay=30, labels=1) == "round-1-1"
    assert work.pending(1) == 1


def test_a_retried_job_does_not_skip_a_generation(work):
    work.begin("round", 1, 0)
    work.begin("round", 1, 0)
    assert work.wake("round", 1) == "round-1-1"


def test_a_job_that_failed_before_its_first_act_does_not_block_the_next(work):
    end(start(work, work.wake("round", 1)), "failed")
    assert work.wake("round", 1) == "round-1-1"
    assert "round-1-1" in due(work)


def test_a_label_puts_off_only_what_labels_due(work):
    work.wake("round", 1, delay=5)
    work.wake("round", 1, delay=60, labels=1)
    assert due(work)["round-1-0"] == pytest.approx(5, abs=3)


def test_a_round_pulled_forward_is_not_put_off_again(work):
    work.wake("round", 1, delay=60, labels=1)
    work.wake("round", 1, delay=5)
    work.wake("round", 1, delay=60, labels=1)
    assert due(work)["round-1-0"] == pytest.approx(5, abs=3)


def test_a_forgotten_project_wakes_again_at_once_though_old_jobs_are_still_known(work):
    for generation in range(4):
        job = start(work, work.wake("round", 1))
        work.begin("round", 1, generation)
        end(job, "finished")
    work.forget(1)
    assert work.wake("round", 1) in due(work)


def test_a_lost_counter_does_not_stop_on_the_numbers_of_old_jobs(work, redis):
    for generation in range(4):
        job = start(work, work.wake("round", 1))
        work.begin("round", 1, generation)
        end(job, "failed")
    redis.delete("al:project:1")
    assert work.wake("round", 1) == "round-1-4"
    assert "round-1-4" in due(work)


def test_projects_do_not_share_rounds(work):
    assert work.wake("round", 1) != work.wake("round", 11)
    assert set(due(work)) == {"round-1-0", "round-11-0"}


def test_the_last_to_begin_holds_the_fence(work):
    work.begin("round", 1, 0, "first")
    work.begin("reconcile", 1, 0, "second")
    assert not work.holds(1, "first")
    assert work.holds(1, "second")


def test_a_lost_redis_takes_every_fence(work, redis):
    work.begin("round", 1, 0, "mine")
    redis.flushall()
    assert not work.holds(1, "mine")


def test_settling_calls_the_waiting_round_off(work):
    work.wake("round", 1, delay=30, labels=2)
    work.settle(1)
    assert due(work) == {}
    assert work.pending(1) == 0
    assert work.job("round-1-0") is None


def test_forgetting_a_project_leaves_the_others(work):
    work.wake("round", 1, delay=30)
    work.wake("round", 2, delay=30)
    work.forget(1)
    assert list(due(work)) == ["round-2-0"]


def test_a_round_in_line_behind_a_reconcile_is_called_off_too(work):
    work.wake("reconcile", 1)
    work.wake("round", 1)
    work.settle(1)
    assert list(due(work)) == ["reconcile-1-0"]


def test_what_is_due_at_once_needs_nobody_to_put_it_into_its_queue(work):
    work.wake("round", 1)
    assert work._queues[TRAIN].get_job_ids() == ["round-1-0"]


def test_a_round_and_a_reconcile_of_one_project_never_run_together(work):
    reconcile = work.wake("reconcile", 1)
    work.wake("round", 1)
    assert work._queues[TRAIN].get_job_ids() == [reconcile]
    end(start(work, reconcile), "finished")
    assert work._queues[TRAIN].get_job_ids() == ["round-1-0"]


def test_a_scheduled_job_starts_when_it_is_due(work):
    work.wake("round", 1, delay=1)
    assert work._queues[TRAIN].get_job_ids() == []
    time.sleep(2.1)
    work.upkeep()
    assert work._queues[TRAIN].get_job_ids() == ["round-1-0"]


def test_labels_do_not_call_for_a_failed_rounds_next_try(work):
    job = start(work, work.wake("round", 1))
    work.begin("round", 1, 0)
    fail(work, job)
    for _ in range(5):
        assert work.wake("round", 1, delay=60, labels=3) == job.id
    assert due(work) == {job.id: pytest.approx(5, abs=1.5)}
    assert work.pending(1) == 15


def test_labels_do_not_call_for_the_next_try_of_a_round_that_failed_before_its_first_act(work):
    job = start(work, work.wake("round", 1))
    fail(work, job)
    assert work.wake("round", 1, delay=60, labels=9) == job.id
    assert due(work) == {job.id: pytest.approx(5, abs=1.5)}


def test_a_person_may_call_for_a_failed_rounds_next_try(work):
    job = start(work, work.wake("round", 1))
    work.begin("round", 1, 0)
    fail(work, job)
    assert work.wake("round", 1) == job.id
    assert due(work) == {job.id: 0}


def test_an_old_generation_has_nothing_left_to_do_once_a_later_one_has_begun(work):
    assert work.begin("round", 1, 0)
    assert work.begin("round", 1, 1)
    assert not work.begin("round", 1, 0)
    assert work.begin("round", 1, 1)


def test_what_an_outage_leaves_waiting_is_one_round_and_its_successor(work):
    job = start(work, work.wake("round", 1))
    work.begin("round", 1, 0)
    work.wake("round", 1, delay=60, labels=1)
    fail(work, job)
    for _ in range(5):
        work.wake("round", 1, delay=60, labels=9)
    assert set(due(work)) == {"round-1-0", "round-1-1"}


def test_a_success_clears_failed_jobs_of_its_kind_away(work):
    for kind, project in (("round", 1), ("round", 2), ("reconcile", 1)):
        job = start(work, work.wake(kind, project))
        end(job, "failed")
        work._queues[TRAIN].failed_job_registry.add(job)
    work.succeeded("round", 1)
    assert sorted(work._queues[TRAIN].failed_job_registry.get_job_ids()) == ["reconcile-1-0", "round-2-0"]


def test_a_wake_up_is_there_whole_when_the_server_is_killed_right_after_it(work, redis_settings):
    code = f"""
import os, signal
from redis import Redis
from backend.queue.work import Work
work = Work(Redis.from_url({redis_url(redis_settings)!r}), 3)
script = work._wake
def killed(**options):
    script(**options)
    os.kill(os.getpid(), signal.SIGKILL)
work._wake = killed
work.wake("round", 1, delay=2, labels=1)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == -signal.SIGKILL
    assert due(work) == {"round-1-0": pytest.approx(2, abs=1.5)}
    assert work.job("round-1-0").args == [1, 0]
    assert work.pending(1) == 1


def test_two_processes_that_wake_at_once_make_one_job(work):
    work.begin("round", 1, 0)
    script, calls = work._wake, []

    def another_came_between(**options):
        if not calls:
            work.begin("round", 1, 1)
        calls.append(options)
        return script(**options)

    work._wake = another_came_between
    assert work.wake("round", 1, delay=9, labels=1) == "round-1-2"
    assert work.job("round-1-2").args == [1, 2]
    assert work.pending(1) == 1


def test_a_job_cut_off_between_rqs_two_writes_of_a_retry_is_scheduled_again(work):
    job = start(work, work.wake("round", 1))
    job.set_status(JobStatus.SCHEDULED)
    assert work.wake("round", 1, delay=20) == job.id
    assert due(work) == {job.id: pytest.approx(20, abs=1.5)}


def test_jobs_are_json_on_redis(work, redis):
    work.wake("round", 1)
    data = redis.hget("rq:job:round-1-0", "data")
    assert b"backend.jobs.round.run_round" in zlib.decompress(data)


def test_an_unknown_job_is_none(work):
    assert work.job("round-9-9") is None
