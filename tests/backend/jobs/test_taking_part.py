"""Workers that have nothing else to embed take part where one job embeds a whole project with another backbone."""

import time

import pytest
from rq import Worker

from backend.jobs.finetune import _embed_pool
from backend.jobs.job import JobAtWork
from backend.jobs.round import run_round
from backend.project import embedding, share
from backend.queue.claims import shared_backbone
from backend.queue.work import EMBED
from backend.status.jobs import jobs_values
from tests.backend.jobs.made_up import Colours
from tests.backend.jobs.migrate.made_up import OTHER, embed_all, want, weights_file
from tests.backend.jobs.test_embed import at_rest, burst, embedded_by, fetched, left, wait_for, workers

IMAGES = 240


class Slowest(Colours):
    """Takes a tenth of a second an image."""

    batch = 1

    def embed(self, images):
        time.sleep(0.1 * len(images))
        return super().embed(images)


@pytest.fixture
def place(make_place, monkeypatch):
    """A project all of whose images are embedded, with a live version, that is to have another backbone."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    place = make_place(IMAGES)
    place.label(*range(6))
    place.run(run_round)
    embed_all(place)
    assert set(fetched(place).values()) == {1}
    want(place, OTHER, force=True)
    return place


def test_two_workers_bring_a_project_to_another_backbone_together(place):
    with workers(2, EMBED) as processes:
        place.work.wake("migrate", place.project)
        wait_for(lambda: len(embedded_by(place)) == 2)
        [told] = wait_for(lambda: [v for v in jobs_values(place.work.active(place.project)) if v.get("workers") == 2])
        wait_for(lambda: place.state.migration.get("promoted"))
        wait_for(lambda: at_rest(place))
    assert told["id"].startswith("migrate-"), "whoever leads tells how far all are"
    assert told["total"] == IMAGES
    assert set(fetched(place).values()) == {2}, "once by each backbone"
    shares = embedded_by(place)
    assert shares.keys() == {process.pid for process in processes}
    assert min(shares.values()) > IMAGES / 10
    assert shared_backbone(place.work.redis, place.project) == ""


def test_a_pool_for_a_retrained_network_is_embedded_by_all_too(place, monkeypatch):
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Slowest())
    monkeypatch.setattr(share, "PART", 8)
    with workers(1, EMBED), place.session() as session:
        wait_for(lambda: Worker.all(connection=place.work.redis))
        place.work.redis.zadd("rq:executions:finetune_last", {"of this process": time.time() + 600})  # it lives, to RQ
        session.sync()
        name = session.backbones.wanted_name
        _embed_pool(JobAtWork(session, place.work, "finetune_last"), name)
        assert session.store.folder.name == name
        assert not session.store.missing([row.key for row in session.index.rows()])
    assert set(fetched(place).values()) == {2}
    assert 0 < sum(embedded_by(place).values()) < IMAGES, "the rest was this process'"


def test_images_that_are_new_come_before_those_that_another_backbone_is_to_see(place):
    with place.session() as session:
        session.use_backbone(session.backbones.wanted_name)
        JobAtWork(session, place.work, "migrate").claims().share()
    place.studio.files["/data/upload/new.png"] = place.studio.files["/data/upload/0.png"]
    new = [{"data": {"image": "/data/upload/new.png"}}]
    place.studio.client().request("POST", f"/api/projects/{place.project}/import", json=new)
    with workers(1, EMBED):
        place.work.wake("embed", place.project)
        wait_for(lambda: sum(fetched(place).values()) == 2 * (IMAGES + 1))
    paths = [request.path for request in place.studio.requests if request.path.endswith(".png")]
    assert paths.index("/data/upload/new.png") == IMAGES, "after all that were there, before any was asked for again"
    assert left(place) == 0


@pytest.mark.parametrize("why", ["paused", "given up"])
def test_nobody_goes_on_with_a_backbone_that_is_not_wanted_any_more(place, why):
    with place.session() as session:
        session.use_backbone(session.backbones.wanted_name)
        JobAtWork(session, place.work, "migrate").claims().share()
        with session.edit() as state:
            state.paused = why == "paused"
            if why == "given up":
                refused = {"backbone": session.backbones.wanted_name, "promoted": False, "labels": 6}
                state.migration, state.forced = refused, False
    place.work.wake("embed", place.project)
    burst(place)
    assert set(fetched(place).values()) == {1}


def test_a_shared_backbone_that_is_gone_is_passed_over(place):
    weights_file(place, OTHER)
    with place.session() as session:
        session.use_backbone("resnet50-gone")
        JobAtWork(session, place.work, "migrate").claims().share()
    with workers(1, EMBED):
        job = place.work.job(place.work.wake("embed", place.project))
        wait_for(lambda: job.get_status() == "finished")
    assert embedded_by(place) == {}
