"""Waking work: coalesced, put off by labels, never lost; on a real Redis."""

import time
import zlib

import pytest

from backend.queue.work import TRAIN


def scheduled(work):
    """Waiting job ids with the seconds from now at which they are due."""
    registry = work._queues[TRAIN].scheduled_job_registry
    return {i: registry.get_scheduled_time(i).timestamp() - time.time() for i in registry.get_job_ids()}


def test_many_labels_make_one_round(work):
    ids = {work.wake("round", 1, delay=30, labels=1) for _ in range(2)}
    assert ids == {"round-1-0"}
    assert list(scheduled(work)) == ["round-1-0"]


def test_a_label_puts_the_round_off_by_the_quiet_time(work):
    work.wake("round", 1, delay=10, labels=1)
    work.wake("round", 1, delay=40, labels=1)
    assert scheduled(work)["round-1-0"] == pytest.approx(40, abs=3)


def test_enough_labels_start_it_at_once(work):
    for _ in range(3):
        work.wake("round", 1, delay=40, labels=1)
    assert scheduled(work)["round-1-0"] <= 0


def test_start_training_is_not_put_off_by_a_later_label(work):
    work.wake("round", 1)
    work.wake("round", 1, delay=40, labels=1)
    assert scheduled(work)["round-1-0"] <= 0


def test_a_later_wake_up_never_delays_an_earlier_one(work):
    work.wake("reconcile", 1, delay=5)
    work.wake("reconcile", 1, delay=300)
    assert scheduled(work)["reconcile-1-0"] == pytest.approx(5, abs=3)


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
    job = work.job(work.wake("round", 1))
    job.set_status("failed")
    work._queues[TRAIN].scheduled_job_registry.remove(job.id)
    assert work.wake("round", 1) == "round-1-1"
    assert "round-1-1" in scheduled(work)


def test_a_label_puts_off_only_what_labels_scheduled(work):
    work.wake("round", 1, delay=5)
    work.wake("round", 1, delay=60, labels=1)
    assert scheduled(work)["round-1-0"] == pytest.approx(5, abs=3)


def test_a_round_pulled_forward_is_not_put_off_again(work):
    work.wake("round", 1, delay=60, labels=1)
    work.wake("round", 1, delay=5)
    work.wake("round", 1, delay=60, labels=1)
    assert scheduled(work)["round-1-0"] == pytest.approx(5, abs=3)


def test_a_forgotten_project_wakes_again_at_once_though_old_jobs_are_still_known(work):
    for generation in range(4):
        job = work.job(work.wake("round", 1))
        work.begin("round", 1, generation)
        work._queues[TRAIN].scheduled_job_registry.remove(job.id)
        job.set_status("finished")
    work.forget(1)
    assert work.wake("round", 1) in scheduled(work)


def test_a_lost_counter_does_not_stop_on_the_numbers_of_old_jobs(work, redis):
    for generation in range(4):
        job = work.job(work.wake("round", 1))
        work.begin("round", 1, generation)
        work._queues[TRAIN].scheduled_job_registry.remove(job.id)
        job.set_status("failed")
    redis.delete("al:project:1")
    assert work.wake("round", 1) == "round-1-4"
    assert "round-1-4" in scheduled(work)


def test_projects_do_not_share_rounds(work):
    assert work.wake("round", 1) != work.wake("round", 11)
    assert len(scheduled(work)) == 2


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
    assert scheduled(work) == {}
    assert work.pending(1) == 0
    assert work.job("round-1-0") is None


def test_forgetting_a_project_leaves_the_others(work):
    work.wake("round", 1, delay=30)
    work.wake("round", 2, delay=30)
    work.forget(1)
    assert list(scheduled(work)) == ["round-2-0"]


def test_jobs_are_json_on_redis(work, redis):
    work.wake("round", 1)
    data = redis.hget("rq:job:round-1-0", "data")
    assert b"backend.jobs.round.run_round" in zlib.decompress(data)


def test_an_unknown_job_is_none(work):
    assert work.job("round-9-9") is None
