"""Reconciling: whatever Label Studio holds by now, the queue is whole, in order and once afterwards."""

import logging

import numpy as np
import pytest

from backend.jobs.publish import PublishError
from backend.jobs.reconcile import reconcile_project
from backend.labelstudio.client import LabelStudioError
from backend.learning.places import LAST
from tests.backend.jobs.made_up import CLASSES, add_tasks, label_some, never, run_round, session_on, settings_for, stored
from tests.backend.project.made_up import damage
from tests.label_studio_in_memory import Fault

IMAGES, QUEUE = 30, 8


@pytest.fixture
def session(label_studio, make_settings, answering):
    """A connected project of thirty images with four labels and a published queue of eight."""
    with session_on(label_studio, settings_for(make_settings, queue_size=QUEUE), IMAGES, answering) as session:
        label_some(label_studio, session, 4)
        run_round(session)
        yield session


def reconcile(session):
    """What a reconcile does; returns what it says and what it wakes."""
    woken = []
    done = reconcile_project(session, never, lambda kind, _=0: woken.append(kind))
    return done, woken


def queue(label_studio, session):
    """The live version's queue as Label Studio has it: tasks in the order of their places, each once."""
    scores = stored(label_studio, session.state.live)
    assert all(len(found) == 1 for found in scores.values()), "two predictions of one version for a task"
    return [task for task, (score,) in sorted(scores.items(), key=lambda item: item[1][0]) if score < 0.5]


def next_task(label_studio, session):
    return label_studio.client().request("GET", f"/api/projects/{session.project}/next")["id"]


def test_where_nothing_differs_nothing_is_done(label_studio, session):
    reconcile(session)  # which describes the version in Label Studio
    label_studio.requests.clear()
    assert reconcile(session) == ([], [])
    assert {request.method for request in label_studio.requests} - {"GET"} <= {"POST"}
    assert {r.path for r in label_studio.requests if r.method != "GET"} <= {"/api/token/refresh/"}


@pytest.mark.parametrize("kind", ["embed", "clean", "doubts"])
def test_a_job_that_failed_and_that_nothing_else_wakes_is_tried_again(session, kind):
    with session.edit() as state:
        state.errors = {kind: f"2026-11-26 08:30:00 {kind}: no"}
    assert reconcile(session)[1] == [kind]


def test_deleted_predictions_are_published_again(label_studio, session):
    label_studio.predictions.clear()
    done, _ = reconcile(session)
    assert len(queue(label_studio, session)) == QUEUE
    assert next_task(label_studio, session) == queue(label_studio, session)[0]
    assert any("held 0 predictions" in line for line in done)


def test_a_damaged_index_costs_neither_the_order_nor_a_round(label_studio, session):
    before = queue(label_studio, session)
    labels = session.labelled().tasks.tolist()
    path = session.projects.folder(session.project) / "index.sqlite"
    damage(path)
    _, woken = reconcile(session)
    assert queue(label_studio, session) == before
    assert session.labelled().tasks.tolist() == labels
    assert set(session.index.published.scores(session.state.live)) >= set(before)
    assert "round" not in woken
    assert path.with_name("index.sqlite.damaged").exists()


def test_deleted_predictions_come_back_for_a_paused_project_too(label_studio, session):
    with session.edit() as state:
        state.paused = True
    label_studio.predictions.clear()
    reconcile(session)
    assert len(queue(label_studio, session)) == QUEUE


def test_a_few_deleted_predictions_are_noticed(label_studio, session):
    first = queue(label_studio, session)[0]
    for number in [n for n, p in label_studio.predictions.items() if p["task"] == first]:
        del label_studio.predictions[number]
    reconcile(session)
    assert first not in session.index.published.scores(session.state.live)


def test_retrieved_predictions_are_not_doubled_by_the_refill(label_studio, session):
    live, before = session.state.live, queue(label_studio, session)
    others = [t for t in label_studio.task_ids(session.project) if t not in before]
    sent = [{"task": task, "result": [], "score": 0.7, "model_version": live} for task in others]
    label_studio.client().import_predictions(session.project, sent)
    for task in before[:5]:  # half the queue is used
        label_studio.label(task, CLASSES[task % 2])
    reconcile(session)
    assert len(queue(label_studio, session)) > QUEUE
    assert queue(label_studio, session)[:QUEUE] == before


def test_of_two_predictions_of_a_task_the_one_it_is_served_by_stays(label_studio, session):
    live, first = session.state.live, queue(label_studio, session)[0]
    served_by = stored(label_studio, live)[first]
    sent = [{"task": first, "result": [], "score": 0.7, "model_version": live}]
    label_studio.client().import_predictions(session.project, sent)
    done, _ = reconcile(session)
    assert stored(label_studio, live)[first] == served_by
    assert any("1 of them beside another" in line for line in done)


def test_an_import_whose_answer_never_came_is_not_made_twice(label_studio, session):
    new = add_tasks(label_studio, session, 3)
    label_studio.faults.append(Fault("POST", "import/predictions", 502, done=True))
    with pytest.raises(LabelStudioError):
        reconcile(session)
    reconcile(session)
    scores = stored(label_studio, session.state.live)
    assert [len(scores[task]) for task in new] == [1, 1, 1]


def test_a_refill_whose_answer_never_came_is_not_made_twice(label_studio, session):
    for task in queue(label_studio, session)[:5]:
        label_studio.label(task, CLASSES[task % 2])
    label_studio.faults.append(Fault("POST", "import/predictions", 502, done=True))
    with pytest.raises(LabelStudioError):
        reconcile(session)
    reconcile(session)
    assert len(queue(label_studio, session)) > QUEUE


def test_new_tasks_get_places_behind_the_queue(label_studio, session):
    before, new = queue(label_studio, session), add_tasks(label_studio, session, 3)
    done, _ = reconcile(session)
    scores = stored(label_studio, session.state.live)
    assert all(scores[task][0] >= 0.5 for task in new)
    assert queue(label_studio, session) == before
    assert "scored 3 new tasks" in done


def test_skipped_tasks_do_not_fill_the_room_for_new_ones(label_studio, session):
    for task in queue(label_studio, session):
        label_studio.label(task, None, was_cancelled=True)
    reconcile(session)  # eight tasks at the last place
    new = add_tasks(label_studio, session, 3)
    reconcile(session)
    assert set(new) <= set(stored(label_studio, session.state.live))


def test_a_skipped_task_goes_last(label_studio, session):
    first = queue(label_studio, session)[0]
    label_studio.label(first, None, was_cancelled=True)
    reconcile(session)
    assert stored(label_studio, session.state.live)[first] == [LAST]


def test_a_skipped_task_that_cannot_be_moved_costs_itself_alone(label_studio, session):
    first, second = queue(label_studio, session)[:2]
    for task in (first, second):
        label_studio.label(task, None, was_cancelled=True)
    number = next(n for n, p in label_studio.predictions.items() if p["task"] == first)
    label_studio.faults.append(Fault("PATCH", f"/api/predictions/{number}", 400))
    done, _ = reconcile(session)
    assert "moved 1 skipped or accepted tasks back" in done
    assert stored(label_studio, session.state.live)[second] == [LAST]


def test_a_new_task_that_label_studio_takes_no_prediction_of_does_not_stop_a_reconcile(label_studio, session):
    (bad,) = add_tasks(label_studio, session, 1)
    label_studio.refuses = lambda request: 400 if any(p["task"] == bad for p in request.body) else 0
    label_studio.projects[session.project]["model_version"] = ""
    done, _ = reconcile(session)
    assert label_studio.projects[session.project]["model_version"] == session.state.live
    assert "scored 0 new tasks" in done


@pytest.mark.parametrize("value", ["", None, "Active learning", "al-7-ffffff"])
def test_a_model_version_that_is_not_ours_is_set_right(label_studio, session, value):
    label_studio.projects[session.project]["model_version"] = value
    reconcile(session)
    assert label_studio.projects[session.project]["model_version"] == session.state.live


def test_another_version_of_ours_chosen_by_hand_is_followed(label_studio, session):
    old = session.state.live
    label_some(label_studio, session, 2)
    run_round(session)
    label_studio.projects[session.project]["model_version"] = old
    reconcile(session)
    assert session.state.live == old


def test_labels_that_nobody_told_of_wake_a_round(label_studio, session):
    label_some(label_studio, session, 1)
    done, woken = reconcile(session)
    assert "a round: labels changed" in done
    assert woken == ["round"]


def test_without_a_version_a_round_is_woken(label_studio, make_settings):
    with session_on(label_studio, settings_for(make_settings), 3) as session:
        assert reconcile(session)[1] == ["round"]


def told(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s, p: s.projects[p].update(sampling="Sequential sampling"), "sampling is 'Sequential sampling'"),
        (lambda s, p: s.projects[p].update(enable_empty_annotation=True), "empty answers may be submitted"),
        (lambda s, _: s.webhooks.clear(), "no webhook to"),
        (lambda s, _: s.backends.clear(), "no ML backend at"),
    ],
)
def test_what_people_change_by_hand_is_told_once_and_left_to_connect(label_studio, session, caplog, change, words):
    change(label_studio, session.project)
    reconcile(session)
    reconcile(session)
    assert [words in message for message in told(caplog)] == [True]


def test_what_is_put_right_and_changed_again_is_told_again(label_studio, session, caplog):
    for sampling in ("Sequential sampling", "Uncertainty sampling", "Sequential sampling"):
        label_studio.projects[session.project]["sampling"] = sampling
        reconcile(session)
    assert len(told(caplog)) == 2


def test_webhooks_that_cannot_be_listed_do_not_stop_a_reconcile(label_studio, session):
    label_studio.faults.append(Fault("GET", "/api/webhooks/", 403))
    assert reconcile(session) == ([], [])


def test_a_deleted_task_is_forgotten(label_studio, session):
    first = queue(label_studio, session)[0]
    label_studio.client().request("DELETE", f"/api/tasks/{first}/")
    assert reconcile(session) == ([], [])
    assert first not in session.index.published.scores(session.state.live)


def test_publish_errors_are_no_part_of_a_reconcile(label_studio, session):
    new = add_tasks(label_studio, session, 4)
    label_studio.refuses = lambda request: 422 if len(request.body) else 0
    try:
        reconcile(session)
    except PublishError:
        pytest.fail("refused predictions stopped the reconcile")
    assert not set(new) & set(stored(label_studio, session.state.live))


def test_places_recalled_from_label_studio_are_its_own(label_studio, session):
    number, row = next((n, p) for n, p in label_studio.predictions.items() if p["score"] > 0)
    row["score"] = None
    session.index.published.forget(session.state.live)
    reconcile(session)
    published = session.index.published.scores(session.state.live)
    assert published[label_studio.predictions[number]["task"]] == LAST
    assert np.isfinite(list(published.values())).all()
