"""A job that embeds makes room for one that its worker would rather do."""

from types import SimpleNamespace

import pytest

from backend.queue import giving_way
from backend.queue.giving_way import GivesWay
from backend.queue.work import EMBED, HOUSEKEEPING, TRAIN


@pytest.fixture
def gives_way(redis, monkeypatch):
    """What a job to embed asks whose worker takes these queues in this order."""
    monkeypatch.setattr(giving_way, "LEAST_SECONDS", 0)
    monkeypatch.setattr(giving_way, "LOOK_SECONDS", 0)

    def make(*queues):
        redis.hset("rq:worker:w", "queues", ",".join(queues))
        return GivesWay(redis, SimpleNamespace(worker_name="w", origin=EMBED))

    return make


def test_it_goes_on_while_nothing_waits(gives_way):
    assert not gives_way(TRAIN, HOUSEKEEPING, EMBED)()


def test_it_ends_for_a_round_that_waits(gives_way, work):
    ends = gives_way(TRAIN, HOUSEKEEPING, EMBED)
    assert not ends()
    work.wake("round", 1)
    assert ends()
    assert ends()


def test_it_goes_on_where_its_worker_takes_no_rounds(gives_way, work):
    work.wake("round", 1)
    assert not gives_way(EMBED, HOUSEKEEPING)()


def test_of_several_one_ends_for_one_round(gives_way, work):
    work.wake("round", 1)
    assert [gives_way(TRAIN, EMBED)() for _ in range(3)] == [True, False, False]


def test_another_ends_where_the_round_still_waits(gives_way, work, redis):
    work.wake("round", 1)
    gives_way(TRAIN, EMBED)()
    assert 0 < redis.ttl(giving_way.ONE) <= giving_way.ONE_SECONDS
    redis.delete(giving_way.ONE)
    assert gives_way(TRAIN, EMBED)()


def test_it_goes_on_for_some_seconds_first(gives_way, work, monkeypatch):
    monkeypatch.setattr(giving_way, "LEAST_SECONDS", 60)
    work.wake("round", 1)
    assert not gives_way(TRAIN, EMBED)()


def test_a_job_that_no_worker_runs_goes_on(redis, work):
    work.wake("round", 1)
    assert not GivesWay(redis, None)()
