"""Which job embeds which image, on a real Redis."""

import time

import pytest

from backend.queue import claims as claims_module
from backend.queue.claims import Claims, shared_backbone


@pytest.fixture
def claims_of(redis):
    """The claims of a job of project 1 whose worker was heard of just now, or was not."""

    def make(job, lives=True):
        if lives:
            redis.zadd(f"rq:executions:{job}", {"execution": time.time() + 9})
        return Claims(redis, 1, "resnet50", job)

    return make


def test_the_first_that_nobody_holds_are_claimed(claims_of):
    assert claims_of("embed-1-0").claim([11, 12, 13, 14], 2) == (2, [0, 1])
    assert claims_of("embed-1-1").claim([11, 12, 13, 14], 1) == (3, [2])
    assert claims_of("embed-1-2").claim([11, 12, 13, 14], 9) == (4, [3])


def test_what_a_dead_worker_held_is_free(claims_of):
    claims_of("embed-1-0", lives=False).claim([11, 12], 2)
    assert claims_of("embed-1-1").claim([11, 12], 2) == (2, [0, 1])


def test_a_job_that_starts_again_may_have_what_it_held(claims_of):
    for _ in range(2):
        assert claims_of("embed-1-0").claim([11], 1) == (1, [0])


def test_what_is_let_go_of_is_free(claims_of):
    first, second = claims_of("embed-1-0"), claims_of("embed-1-1")
    first.claim([11, 12], 2)
    first.release([11])
    assert second.claim([11, 12], 2) == (2, [0])


def test_a_job_cannot_let_go_of_what_another_holds(claims_of):
    first, second = claims_of("embed-1-0"), claims_of("embed-1-1")
    first.claim([11], 1)
    second.release([11])
    assert second.claim([11], 1) == (1, [])


def test_the_last_to_end_is_told_so_however_others_died(claims_of):
    first, second, dead = claims_of("embed-1-0"), claims_of("embed-1-1"), claims_of("embed-1-2", lives=False)
    for number, claims in enumerate((first, second, dead)):
        claims.claim([number], 1)
    assert first.end() == 1
    assert second.end() == 0


def test_progress_is_one_for_all_jobs(claims_of):
    first, second = claims_of("embed-1-0"), claims_of("embed-1-1")
    first.advance(0, 100)
    first.advance(10)
    assert second.advance(20, 90).done == 30
    assert first.advance(0).total == 100
    assert first.done() == 30


def test_images_that_come_meanwhile_raise_the_total(claims_of):
    claims = claims_of("embed-1-0")
    claims.advance(40, 100)
    assert claims.advance(0, 40 + 80).total == 120


def test_the_time_left_follows_from_the_pace_of_all(claims_of, monkeypatch):
    now = int(time.time())
    monkeypatch.setattr(claims_module, "_seconds", lambda: now)
    first, second = claims_of("embed-1-0"), claims_of("embed-1-1")
    assert first.advance(0, 100).seconds_left is None
    now += 10
    first.advance(10)
    assert second.advance(10).seconds_left == pytest.approx(40, abs=4)  # two a second, of which 80 are left


def test_the_time_left_forgets_a_pace_of_long_ago(claims_of, monkeypatch):
    now = int(time.time())
    monkeypatch.setattr(claims_module, "_seconds", lambda: now)
    claims = claims_of("embed-1-0")
    claims.advance(0, 10_000)
    for _ in range(20):
        now += 10
        claims.advance(10)
    for _ in range(8):
        now += 10
        standing = claims.advance(100)
    assert standing.seconds_left == pytest.approx(9_000 / 10, rel=0.05)


def test_the_next_images_are_counted_from_zero(claims_of):
    claims = claims_of("embed-1-0")
    claims.advance(100, 100)
    claims.finish()
    assert claims.advance(0, 7).total == 7


def test_a_backbone_is_shared_until_whoever_shares_it_has_finished(redis):
    one, other = (Claims(redis, 1, backbone, "migrate-1-0") for backbone in ("resnet50-a", "resnet50-b"))
    assert shared_backbone(redis, 1) == ""
    one.share()
    other.finish()
    assert shared_backbone(redis, 1) == "resnet50-a"
    assert shared_backbone(redis, 2) == ""
    one.finish()
    assert shared_backbone(redis, 1) == ""


def test_nothing_is_kept_for_ever(claims_of, redis):
    claims = claims_of("embed-1-0")
    claims.claim([1], 1)
    claims.advance(1, 2)
    claims.share()
    assert all(0 < redis.ttl(key) <= 3600 for key in redis.scan_iter("al:*"))
