"""Images that people sent to the head of the queue, in Label Studio's own order."""

import numpy as np
import pytest

from backend.connection.differences import WANTED
from backend.jobs import ahead
from backend.jobs.reconcile import reconcile, reconcile_project
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round

pytestmark = pytest.mark.usefixtures("two_versions")


def opened(place):
    """What Label Studio serves next and next and next, without labelling it."""
    labelled = {annotation["task"] for annotation in place.studio.annotations.values()}
    return [task for task in place.predictions(place.live()) if task not in labelled]


def send(place, *tasks):
    with place.session() as session:
        session.ahead.send(tasks, "ann@example.org")
    place.run(reconcile)


def test_what_is_sent_is_next_at_once_under_the_same_version(place):
    *_, last = opened(place)
    version = place.live()
    place.studio.client().patch_project(place.project, **WANTED)
    send(place, last)
    assert place.live() == version
    assert place.studio.client().request("GET", f"/api/projects/{place.project}/next")["id"] == last


def test_an_image_that_is_not_in_the_queue_comes_to_its_head(place):
    outside = next(task for task in place.tasks[4:] if task not in place.predictions(place.live()))
    send(place, outside)
    assert opened(place)[0] == outside


def test_those_sent_later_stand_behind_those_sent_before(place):
    before = opened(place)
    send(place, before[5])
    send(place, before[3], before[6])
    assert opened(place)[:4] == [before[5], before[3], before[6], before[0]]


def test_what_stands_there_is_not_published_again(place):
    send(place, *opened(place)[4:6])
    place.studio.requests.clear()
    place.run(reconcile)
    assert not [request for request in place.studio.requests if "import/predictions" in request.path]


def test_it_stays_at_the_head_over_later_rounds_until_labelled(place):
    sent = opened(place)[4:6]
    send(place, *sent)
    place.label(20)
    place.run(run_round)
    assert opened(place)[:2] == sent
    place.studio.label(sent[0], "ants")
    place.run(run_round)
    assert opened(place)[0] == sent[1]
    place.run(reconcile)
    with place.session() as session:
        assert session.ahead.tasks().tolist() == [sent[1]]


def test_a_skipped_image_stays_there_no_longer(place):
    first, second = opened(place)[4:6]
    send(place, first, second)
    place.studio.label(first, None, was_cancelled=True)
    place.run(reconcile)
    assert opened(place)[0] == second


def test_while_the_project_is_paused_it_is_moved_all_the_same(place):
    with place.session() as session, session.edit() as state:
        state.paused = True
    *_, last = opened(place)
    send(place, last)
    assert opened(place)[0] == last


def test_it_stays_at_the_head_of_an_older_version(place):
    *_, last = opened(place)
    send(place, last)
    roll_back(place.project, place.first)
    assert place.live() == place.first
    assert opened(place)[0] == last


def test_what_is_let_go_takes_its_own_place_with_the_next_round(place):
    outside = next(task for task in place.tasks[4:] if task not in place.predictions(place.live()))
    send(place, outside)
    with place.session() as session:
        session.ahead.let_go([outside])
    place.run(run_round)
    assert opened(place)[0] != outside


def test_where_no_room_is_left_before_the_first_a_round_lays_out_the_queue_anew(place, monkeypatch):
    monkeypatch.setattr(ahead, "CLOSEST", 1.0)
    woken = []
    with place.session() as session:
        session.ahead.send([opened(place)[4]], "ann")
        reconcile_project(session, lambda: None, lambda kind, _=0: woken.append(kind))
    assert woken == ["round"]


def test_an_image_without_an_embedding_waits_for_it(place):
    new = place.studio.client().request(
        "POST", f"/api/projects/{place.project}/import", json=[{"data": {"image": "/data/upload/none.png"}}]
    )
    assert new is not None
    task = max(place.studio.task_ids(place.project))
    send(place, task)
    with place.session() as session:
        assert session.ahead.tasks().tolist() == [task]
    assert task not in opened(place)


def test_the_places_of_many_sendings_stay_apart(place):
    before = opened(place)
    for task in before[1:]:
        send(place, task)
    assert opened(place) == [*before[1:], before[0]]
    with place.session() as session:
        published = session.index.published.scores(session.state.live)
    assert (np.diff(sorted(published.values())) > 0).all()
