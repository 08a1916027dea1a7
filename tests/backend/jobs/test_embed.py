"""The job that embeds, alone and beside others: real workers, a real Redis, and a Label Studio that counts what is fetched."""

import signal
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from rq import SimpleWorker, Worker
from rq.serializers import JSONSerializer

from backend.jobs import embed as embedding_job
from backend.project import embedding, share
from backend.project.embedding import unembedded
from backend.queue.redis_server import connect_redis
from backend.queue.work import EMBED, TRAIN
from backend.queue.worker import ActiveLearningMixin
from backend.settings import get_settings
from backend.status.jobs import jobs_values
from tests.backend.jobs.made_up import Colours
from tests.backend.queue.test_worker import processes

IMAGES = 240
WORKER = """
import os, sys, time
from backend.jobs import embed  # as a worker does: each job is a fork of it
from backend.project import embedding, share
from backend.queue import giving_way, worker
from backend.queue.redis_server import connect_redis
from backend.settings import get_settings
from model.embeddings import embedding_loop
from tests.backend.jobs.made_up import Colours

redis = connect_redis(get_settings())

class Slow(Colours):
    batch = 2
    def embed(self, images):
        time.sleep(float(os.environ.get("SECONDS_AN_IMAGE", 0.03)) * len(images))
        redis.hincrby("embedded", os.getppid(), len(images))
        return super().embed(images)

embedding.get_backbone = lambda *_: Slow()
share.PART, embedding_loop.SHARD, giving_way.LEAST_SECONDS = 8, 8, 0.5
worker.run_worker(redis, sys.argv[1:], lambda: None, "WARNING")
"""


class Here(ActiveLearningMixin, SimpleWorker):
    """Does its jobs in this process."""


@contextmanager
def workers(count, *queues):
    """Worker processes that embed some 60 images a second each, in small parts."""
    with processes([WORKER, *(queues or [EMBED])], count) as started:
        pids, redis = {process.pid for process in started}, connect_redis(get_settings())
        wait_for(lambda: pids <= {worker.pid for worker in Worker.all(connection=redis)}, 180)  # else one may do it all alone
        yield started


def wait_for(condition, seconds=180):
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)
    return value


def left(place):
    """How many images have no embedding."""
    with place.session() as session:
        session.index.rows() or session.sync()
        return sum(map(len, unembedded(session)))


def fetched(place):
    """How often each image was fetched."""
    return Counter(request.path for request in place.studio.requests if request.path.endswith(".png"))


def embedded_by(place):
    """How many images each worker has embedded, by its process id."""
    return {int(pid): int(count) for pid, count in place.work.redis.hgetall("embedded").items()}


def shown(place):
    """What `status` and pages show of the jobs that embed."""
    return [values for values in jobs_values(place.work.active(place.project)) if values["id"].startswith("embed-")]


def at_rest(place):
    """Whether no job embeds, or is to."""
    return not shown(place)


def woken(place):
    """Ids of the jobs that are on Redis."""
    return [key.decode().removeprefix("rq:job:") for key in place.work.redis.scan_iter("rq:job:*")]


def test_two_workers_embed_a_project_together_and_no_image_twice(make_place):
    place = make_place(IMAGES)
    with workers(2) as processes:
        place.work.wake("embed", place.project)
        wait_for(lambda: len(embedded_by(place)) == 2)
        seen = [wait_for(lambda: [v for v in shown(place) if v.get("workers") == 2])]
        wait_for(lambda: at_rest(place))
    assert [len(values) for values in seen] == [1]
    assert seen[0][0]["total"] == IMAGES
    assert left(place) == 0
    assert set(fetched(place).values()) == {1}
    assert len(fetched(place)) == IMAGES
    shares = embedded_by(place)
    assert shares.keys() == {process.pid for process in processes}
    assert min(shares.values()) > IMAGES / 10


@pytest.mark.soak
def test_a_second_worker_embeds_beside_the_first(make_place, monkeypatch):
    monkeypatch.setenv("SECONDS_AN_IMAGE", "0.1")  # two at once: 20 a second, so that it is the workers who wait
    place = make_place(4000)
    window = embedding_job.EMBED_SLICE + 5

    def pace():
        before = sum(embedded_by(place).values())
        time.sleep(window)
        return (sum(embedded_by(place).values()) - before) / window

    with workers(1):
        place.work.wake("embed", place.project)
        wait_for(lambda: embedded_by(place))
        alone = pace()
        with workers(1):
            wait_for(lambda: len(embedded_by(place)) == 2, 120)
            together = pace()
    assert left(place) > 0
    print(f"{together:.1f} images a second by two, {alone:.1f} by one: {together / alone / 2:.3f} of twice as many")
    assert together >= 1.3 * alone  # 1.98 where nothing else runs; what runs beside it must not fail it


@pytest.mark.soak
def test_what_a_killed_worker_had_claimed_is_embedded_by_the_other_within_a_minute(make_place):
    place = make_place(IMAGES)
    with workers(2) as processes:
        place.work.wake("embed", place.project)
        wait_for(lambda: len(embedded_by(place)) == 2 and left(place) < IMAGES - 30)
        processes[0].send_signal(signal.SIGKILL)
        wait_for(lambda: not left(place))
        wait_for(lambda: at_rest(place))
    assert set(fetched(place).values()) <= {1, 2}, "what had been fetched by the killed worker, once more"
    assert sum(count == 2 for count in fetched(place).values()) < 40
    assert any(job.startswith(f"reconcile-{place.project}-") for job in woken(place))


@pytest.mark.soak
def test_a_lost_redis_costs_no_image(make_place):
    place = make_place(IMAGES)
    with workers(2):
        place.work.wake("embed", place.project)
        wait_for(lambda: len(embedded_by(place)) == 2 and left(place) < IMAGES - 30)
        place.work.redis.flushall()
        place.work.wake("embed", place.project)  # as every worker does once a minute by a reconcile
        wait_for(lambda: not left(place))


@pytest.mark.soak
def test_a_round_begins_before_the_only_worker_has_embedded_all(make_place):
    place = make_place(IMAGES)
    with workers(1, TRAIN, EMBED):
        place.work.wake("embed", place.project)
        wait_for(lambda: embedded_by(place))
        job = place.work.job(place.work.wake("round", place.project))
        wait_for(lambda: job.get_status() == "started")
        assert left(place) > IMAGES / 4


@pytest.mark.parametrize("kinds", [("embed", "round"), ("round", "embed")], ids=" before ".join)
def test_a_round_and_a_job_that_embeds_share_the_images_that_both_want(make_place, kinds):
    place = make_place(IMAGES)
    place.label(*range(6))
    with workers(1, TRAIN), workers(1, EMBED):
        for kind in kinds:
            place.work.wake(kind, place.project)
            wait_for(lambda: embedded_by(place))
        wait_for(place.live)
        wait_for(lambda: not left(place) and at_rest(place))
        with place.session() as session:
            assert len(session.versions.load(place.live()).tasks) == 6
    assert set(fetched(place).values()) == {1}


def burst(place, most=None):
    """Do the jobs that wait to embed, in this process."""
    Here([EMBED], connection=place.work.redis, serializer=JSONSerializer).work(burst=True, max_jobs=most)


@pytest.fixture
def turns(monkeypatch):
    """The projects whose images were embedded, job by job of a tenth of a second."""
    projects, real = [], embedding_job._embed

    def noted(at):
        projects.append(at.session.project)
        return real(at)

    monkeypatch.setattr(embedding_job, "_embed", noted)
    monkeypatch.setattr(embedding_job, "EMBED_SLICE", 0.1)
    monkeypatch.setattr(share, "PART", 4)
    return projects


class Slowly(Colours):
    """Takes a fiftieth of a second an image."""

    batch = 1

    def embed(self, images):
        time.sleep(0.02 * len(images))
        return super().embed(images)


def test_projects_take_turns(make_place, turns, monkeypatch):
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Slowly())
    large, small = make_place(100), make_place(20)
    large.work.wake("embed", large.project)
    small.work.wake("embed", small.project)
    burst(large)
    assert (left(large), left(small)) == (0, 0)
    last = len(turns) - turns[::-1].index(small.project)
    assert turns[:last:2] == [large.project] * len(turns[:last:2])
    assert turns[1:last:2] == [small.project] * len(turns[1:last:2])
    assert turns[last:].count(large.project) > 1


def test_labelled_images_come_first(place, monkeypatch):
    monkeypatch.setattr(share, "PART", 2)
    place.label(20, 21)
    order, real = [], embedding.read_pixels
    monkeypatch.setattr(embedding, "read_pixels", lambda _s, row, *_: order.append(row.task) or real(_s, row, *_))
    place.work.wake("embed", place.project)
    burst(place, 1)
    assert set(order[:2]) == {place.tasks[20], place.tasks[21]}


def test_the_last_job_of_a_queue_drawn_from_a_part_wakes_one_round(place):
    with place.session() as session, session.edit() as state:
        state.partial = True
    place.work.wake("embed", place.project)
    burst(place)
    assert [job for job in woken(place) if job.startswith("round-")] == [f"round-{place.project}-0"]
    place.work.begin("round", place.project, 0)
    place.work.wake("embed", place.project)
    burst(place)
    assert [job for job in woken(place) if job.startswith("round-")] == [f"round-{place.project}-0"]


def test_images_that_all_fail_end_the_work(place):
    place.studio.files.clear()
    place.work.wake("embed", place.project)
    burst(place)
    assert at_rest(place)
    assert len(fetched(place)) == len(place.tasks)
    with place.session() as session:
        assert session.index.counts()["unreadable"] == len(place.tasks)


def test_while_another_job_reads_all_tasks_none_else_does(place):
    redis = place.work.redis
    with place.session() as session:
        backbone = session.backbone
    redis.hset(f"al:claims:{place.project}:{backbone}", "reading", "embed-7-7")
    redis.zadd("rq:executions:embed-7-7", {"execution": time.time() + 9})
    place.work.wake("embed", place.project)
    burst(place, 1)
    assert not fetched(place)
    assert place.work._queues[EMBED].scheduled_job_registry.get_job_ids() == [f"embed-{place.project}-1"]
