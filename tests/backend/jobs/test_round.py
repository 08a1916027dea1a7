"""A round: what it publishes, what a failed one leaves behind, and what it does not publish over."""

import shutil
from collections import Counter
from threading import Thread

import pytest
from rq import Retry

from backend.index import first_tasks
from backend.jobs import job
from backend.jobs import round as rounds
from backend.jobs.embed import embed
from backend.jobs.round import run_round
from backend.project.embedding import unembedded
from backend.queue.work import TRAIN
from backend.queue.writing import writing
from backend.records.state import Projects
from backend.status.stopping import stopping_text
from backend.status.values import status
from tests.backend.jobs.made_up import CLASSES
from tests.label_studio_in_memory import Fault


def test_a_round_publishes_a_queue_and_lets_it_be_followed(place):
    place.label(0, 1, 2, 3)
    summary = place.run(run_round)
    assert summary["labels"] == 4
    assert place.live() == summary["version"]
    assert len(place.predictions(place.live())) == 8
    assert place.versions == [place.live()]


def test_a_round_begins_once_the_group_that_a_person_labels_is_written(place):
    done = []
    job = Thread(target=lambda: done.append(place.run(run_round)))
    with writing(place.work.redis, place.project):
        job.start()
        job.join(1.0)
        assert place.work.generation("round", place.project) == 0  # labels of the group do not wake another one
        place.label(0, 1)
    job.join(60)
    assert [summary["labels"] for summary in done] == [2]


def test_a_round_foresees_what_checks_would_allow(place, monkeypatch):
    def seen(head, pool):
        return {"error": 0.02, "checks": int(head.counts.sum()), "images": len(pool.tasks)}

    monkeypatch.setattr(rounds, "foresee", seen)
    place.label(0, 1, 2, 3)
    place.run(run_round)
    (project,) = status(place.settings, place.work, compared=False)["projects"]
    assert project["versions"][0]["acceptable"] == {"error": 0.02, "checks": 4, "images": 20}
    assert "20 images after about 4 checks" not in stopping_text(project)
    assert "none now and 20 images after 50 more labels" in stopping_text(project)


def test_a_round_asks_label_studio_for_few_things_however_long_its_queue(place):
    place.label(0, 1)
    place.run(run_round)
    place.label(2, 3)
    place.studio.requests.clear()
    published = place.run(run_round)["published"]
    asked = Counter(f"{request.method} {request.path}" for request in place.studio.requests)
    project = f"/api/projects/{place.project}"
    assert published > 1
    assert asked == {
        "POST /api/token/refresh/": 1,
        f"GET {project}": 2,  # before it reads labels, and before it publishes: the labelling config may have changed
        "GET /api/version": 1,  # what time it is there
        "GET /api/tasks": 1,
        f"GET {project}/model-versions/": 2,  # whether labels were accepted, and which names are taken
        f"POST {project}/import/predictions": 1,
        f"PATCH {project}": 1,
    }


def embedded(place):
    """How many images have embeddings."""
    with place.session() as session:
        labelled, others = unembedded(session)
        return len(place.tasks) - len(labelled) - len(others)


def test_the_first_queue_waits_for_no_more_images_than_it_needs_when_they_take_long(place, monkeypatch):
    monkeypatch.setattr(rounds, "PLENTY", 5)
    monkeypatch.setattr(rounds, "FIRST_SECONDS", 0)
    assert place.run(run_round)["published"] == 5
    assert embedded(place) == 5
    assert place.state.partial
    assert any(job.id.startswith("embed-") for job in place.work.active(place.project))


def test_the_first_queue_has_every_image_where_they_are_quick(place, monkeypatch):
    monkeypatch.setattr(rounds, "PLENTY", 5)
    place.run(run_round)
    assert embedded(place) == len(place.tasks)
    assert not place.state.partial


@pytest.fixture
def large(place, monkeypatch):
    """A project that is large, so that its first queue waits for 5 tasks and not for all 24."""
    monkeypatch.setattr(rounds, "PLENTY", 5)
    monkeypatch.setattr(first_tasks, "MANY", len(place.tasks))
    return place


def known(place):
    """How many tasks the index has."""
    with place.session() as session:
        return session.index.count()


def test_the_first_queue_of_a_large_project_waits_for_few_of_its_tasks(large):
    summary = large.run(run_round)
    assert summary["read"] == known(large) < len(large.tasks)
    assert len(large.predictions(large.live())) == summary["published"] >= 5
    assert large.state.partial
    assert any(job.id.startswith("embed-") for job in large.work.active(large.project))


def test_all_tasks_of_a_large_project_are_read_after_its_first_queue_and_another_is_drawn(large):
    large.run(run_round)
    large.run(embed)
    assert known(large) == embedded(large) == len(large.tasks)
    waiting = large.work._queues[TRAIN].scheduled_job_registry.get_job_ids()
    assert any(job_id.startswith("round-") for job_id in waiting)
    assert "read" not in large.run(run_round)
    assert not large.state.partial


def test_labels_on_a_first_queue_are_learned_before_all_tasks_are_read(large):
    for task in large.predictions(large.run(run_round)["version"])[:2]:
        large.studio.label(task, CLASSES[0])
    summary = large.run(run_round)
    assert summary["labels"] == 2
    assert summary["read"] < len(large.tasks)
    assert large.state.partial


def test_a_large_project_with_labels_is_read_whole_at_once(large):
    large.label(3)
    assert "read" not in large.run(run_round)
    assert known(large) == len(large.tasks)


def test_a_failed_round_leaves_no_version(place):
    place.label(0, 1)
    place.studio.faults.append(Fault("POST", "/import/predictions", times=9))
    place.run(run_round)
    assert place.versions == []


def test_a_round_killed_while_it_publishes_leaves_no_version(place, monkeypatch):
    class Killed(BaseException):
        """Nothing handles it, and no clean-up of the round's own runs that a kill would not run."""

    def kill(*_):
        raise Killed(place.versions)

    place.label(0, 1)
    monkeypatch.setattr(rounds, "publish", kill)
    with pytest.raises(Killed) as killed:
        place.run(run_round)
    assert killed.value.args == ([],), "there is none while it publishes"
    assert place.versions == []


def test_failed_rounds_never_push_a_good_version_out(place):
    place.settings.keep_versions = 1
    place.label(0, 1)
    good = place.run(run_round)["version"]
    place.studio.faults.append(Fault("POST", "/import/predictions", times=99))
    for number in range(2, 4):
        place.label(number)
        place.run(run_round)
    assert place.versions == [good]


def test_one_unreadable_photo_costs_itself_alone(place):
    place.studio.files["/data/upload/0.png"] = b"no photo"
    place.label(0, 1, 2, 3)
    assert place.run(run_round)["labels"] == 3


def test_labels_whose_images_are_out_of_reach_for_the_moment_are_not_published_away(place, monkeypatch):
    place.label(*range(6))
    live = place.run(run_round)["version"]
    lose_embeddings_of(place, [place.tasks[0], place.tasks[1]])
    place.label(6)
    monkeypatch.setattr(rounds, "embed_or_wait", lambda session, _, tasks, __: fail_for(session, tasks, again_in=20))
    answer = place.run(run_round)
    assert isinstance(answer, Retry)
    assert place.live() == live
    assert "2 labels" in place.state.errors["round"]


def test_images_that_stay_out_of_reach_cost_themselves_alone_in_the_end(place, monkeypatch):
    place.label(*range(6))
    place.run(run_round)
    lose_embeddings_of(place, [place.tasks[0], place.tasks[1]])
    monkeypatch.setattr(rounds, "embed_or_wait", lambda session, _, tasks, __: fail_for(session, tasks, again_in=20))
    monkeypatch.setattr(job, "_put_off", lambda: rounds.PATIENCE)
    assert place.run(run_round)["labels"] == 4


def test_labels_that_one_round_cannot_embed_alone_are_waited_for(place, monkeypatch):
    place.label(*range(6))
    live = place.run(run_round)["version"]
    shutil.rmtree(place.settings.data_dir / "projects" / str(place.project) / "embeddings")
    monkeypatch.setattr(rounds, "FIRST", 8)  # so that it embeds four labelled images itself
    assert isinstance(place.run(run_round), Retry)
    assert place.live() == live
    assert place.run(run_round)["labels"] == 6


def test_labels_whose_images_are_gone_for_good_hold_nothing_up(place, monkeypatch):
    place.label(*range(6))
    place.run(run_round)
    lose_embeddings_of(place, [place.tasks[0], place.tasks[1]])
    place.label(6)
    monkeypatch.setattr(rounds, "embed_or_wait", lambda session, _, tasks, __: fail_for(session, tasks, again_in=None))
    assert place.run(run_round)["labels"] == 5


def test_a_label_that_was_deleted_is_no_loss(place):
    place.label(*range(6))
    place.run(run_round)
    place.studio.annotations.pop(next(iter(place.studio.annotations)))
    place.studio.tasks[place.tasks[0]]["updated_at"] = "2099-01-01T00:00:00.000000Z"
    assert place.run(run_round)["labels"] == 5


def lose_embeddings_of(place, tasks):
    """As if their image had another address now."""
    for task in tasks:
        name = f"/data/upload/new-{task}.png"
        place.studio.files[name] = b"no photo"
        place.studio.tasks[task] |= {"data": {"image": name}, "updated_at": "2099-01-01T00:00:00.000000Z"}


def fail_for(session, tasks, again_in):
    """No image of `tasks` can be read; each is tried again in as many seconds."""
    keys = session.index.tasks.keys(tasks)
    session.index.set_errors(dict.fromkeys(keys, "504"), dict.fromkeys(keys, again_in))


def test_an_older_round_gives_way_to_a_later_one(place):
    place.work.begin("round", place.project, 5)
    assert run_round(place.project, 2) is None
    assert place.versions == []


def test_a_strategy_that_fails_costs_the_order_and_status_tells_until_it_works(place):
    place.label(0, 1, 2, 3)
    with Projects(place.settings.data_dir).edit(place.project) as state:
        state.strategy = "no_such_module:f"
    assert place.run(run_round)["published"] == 8
    assert "no_such_module" in place.state.last_error
    with Projects(place.settings.data_dir).edit(place.project) as state:
        state.strategy = "margin"
    place.label(4)
    place.run(run_round)
    assert place.state.last_error == ""
