"""What a round embeds itself, beside jobs that have claimed some of it."""

import time

import pytest

from backend.jobs import round as rounds
from backend.jobs.round import run_round
from backend.project import share
from tests.backend.jobs.test_embed import burst, left, woken

OTHER = "embed-7-7"  # a job that lives, to RQ, on another machine


def let_live(place):
    """Have RQ take OTHER for a job at work."""
    place.work.redis.zadd(f"rq:executions:{OTHER}", {"somewhere": time.time() + 600})


def claim(place, *tasks):
    """Let OTHER have claimed the images of `tasks`."""
    with place.session() as session:
        session.sync()
        held = {row.key: OTHER for row in session.index.rows_of(tasks)}
        place.work.redis.hset(f"al:claims:{place.project}:{session.backbone}", mapping=held)
    let_live(place)


def rounds_that_wait(place):
    return [job for job in woken(place) if job.startswith("round-")]


def test_an_image_that_another_job_holds_too_long_is_embedded_all_the_same(place, monkeypatch):
    monkeypatch.setattr(share, "HELD_SECONDS", 0.1)
    monkeypatch.setattr(share, "LOOK_SECONDS", 0.1)
    place.label(0, 1)
    claim(place, place.tasks[0])
    assert place.run(run_round)["labels"] == 2
    assert not place.state.partial
    assert left(place) == 0


def test_an_image_that_another_job_has_embedded_meanwhile_is_not_asked_for_again(place, monkeypatch):
    monkeypatch.setattr(share, "LOOK_SECONDS", 0)
    place.label(0, 1)
    claim(place, place.tasks[0])
    looked = share._open

    def embedded_elsewhere(session, tasks):
        key = session.index.row(place.tasks[0]).key
        values, _ = session.store.get(session.index.tasks.keys([place.tasks[1]]))
        session.store.add([key], values)
        return looked(session, tasks)

    monkeypatch.setattr(share, "_open", embedded_elsewhere)
    assert place.run(run_round)["labels"] == 2
    asked = [request.path for request in place.studio.requests]
    assert asked.count("/data/upload/0.png") == 0
    assert asked.count("/data/upload/1.png") == 1


def test_images_that_another_job_goes_on_to_embed_are_waited_for_longer(place, monkeypatch):
    monkeypatch.setattr(share, "HELD_SECONDS", 0.1)
    monkeypatch.setattr(share, "LOOK_SECONDS", 0.2)  # so that by each look patience for one image would be over
    place.label(0, 1, 2)
    held = [place.tasks[0], place.tasks[1]]
    claim(place, *held)
    looked, waiting = share._open, list(held)

    def one_more_elsewhere(session, tasks):
        values, _ = session.store.get(session.index.tasks.keys([place.tasks[2]]))
        session.store.add([session.index.row(waiting.pop(0)).key], values)
        return looked(session, tasks)

    monkeypatch.setattr(share, "_open", one_more_elsewhere)
    assert place.run(run_round)["labels"] == 3
    asked = [request.path for request in place.studio.requests]
    assert [asked.count(f"/data/upload/{number}.png") for number in range(3)] == [0, 0, 1]


def test_a_round_beside_which_another_job_has_embedded_the_rest_leaves_nothing(place, monkeypatch):
    monkeypatch.setattr(rounds, "PLENTY", 4)
    real = rounds.embed_or_wait

    def beside(*arguments):
        real(*arguments)
        place.work.wake("embed", place.project)
        burst(place)

    monkeypatch.setattr(rounds, "embed_or_wait", beside)
    place.label(0, 1)
    place.run(run_round)
    assert not place.state.partial
    assert left(place) == 0


@pytest.mark.parametrize("finished", [False, True], ids=["", "after a round that left nothing"])
def test_whoever_ends_last_wakes_a_round_where_the_last_one_saw_a_part(place, monkeypatch, finished):
    place.label(0, 1)
    if finished:
        place.run(run_round)
    monkeypatch.setattr(rounds, "PLENTY", 1)
    monkeypatch.setattr(rounds, "FIRST_SECONDS", 0)
    names = [f"/data/upload/new-{n}.png" for n in range(10)]
    place.studio.files |= dict.fromkeys(names, place.studio.files["/data/upload/0.png"])
    sent = [{"data": {"image": name}} for name in names]
    place.studio.client().request("POST", f"/api/projects/{place.project}/import", json=sent)
    place.run(run_round)
    assert place.state.partial
    for job in rounds_that_wait(place):
        place.work.job(job).delete()
    with place.session() as session:
        place.work.redis.hset(f"al:claims:{place.project}:{session.backbone}", "compacting", OTHER)
    let_live(place)
    burst(place)
    assert left(place) == 0
    assert rounds_that_wait(place) == [], "another job is at work still"
    place.work.redis.delete(f"rq:executions:{OTHER}")
    place.work.wake("embed", place.project)
    burst(place)
    assert len(rounds_that_wait(place)) == 1
