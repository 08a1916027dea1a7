"""What workers and server leave on Redis for `doctor` to see."""

from rq import Queue, SimpleWorker

from backend import __version__
from backend.queue.signs import HEARD, announce, announced, hear, heard, version_of
from backend.queue.work import TRAIN
from backend.queue.worker import ActiveLearningMixin


class Worker(ActiveLearningMixin, SimpleWorker):
    """A worker of ours, in this process."""


def test_a_worker_tells_its_version_as_long_as_it_is_known(redis):
    worker = Worker([Queue(TRAIN, connection=redis)], connection=redis, worker_ttl=45)
    worker.register_birth()
    assert version_of(redis, worker.key) == __version__
    assert 0 < redis.ttl(worker.key) <= 105


def test_a_worker_of_before_tells_no_version(redis):
    worker = SimpleWorker([Queue(TRAIN, connection=redis)], connection=redis)
    worker.register_birth()
    assert version_of(redis, worker.key) == ""


def test_each_change_that_the_server_hears_of_is_another_moment(redis):
    assert heard(redis, 3) == ("", "")
    hear(redis, 3)
    first, version = heard(redis, 3)
    hear(redis, 3)
    assert version == __version__
    assert heard(redis, 3)[0] != first
    assert heard(redis, 4) == ("", "")


def test_what_was_heard_is_forgotten_after_a_day(redis):
    hear(redis, 3)
    assert 0 < redis.ttl(HEARD.format(3)) <= 86_400


def test_the_server_that_began_last_says_what_it_is(redis):
    assert announced(redis) == ("", "", "", "")
    announce(redis, "resnet50-V1")
    announce(redis, "resnet50-0a1b2c", "s3://bucket/al", "bfloat16")
    assert announced(redis) == (__version__, "resnet50-0a1b2c", "s3://bucket/al", "bfloat16")
