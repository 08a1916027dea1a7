"""Publishing a queue: what Label Studio does not take costs itself alone, and nothing is stored twice."""

from dataclasses import replace

import numpy as np
import pytest

from backend.jobs.publish import PublishError, Superseded, publish, publish_more, switch
from backend.labelstudio.client import LabelStudioError
from backend.learning.rounds import Ranking
from tests.backend.jobs.made_up import never, session_on, settings_for, stored
from tests.label_studio_in_memory import Fault

VERSION = "al-1-0a0b0c"


@pytest.fixture
def session(label_studio, make_settings):
    """A connected project of ten images."""
    with session_on(label_studio, settings_for(make_settings), 10) as session:
        yield session


def ranking(tasks, places=None, classes=None):
    """A queue of `tasks`, each with 0.75 for its class; without `classes`, of the first class all."""
    n = len(tasks)
    numbers = np.zeros(n, np.int64) if classes is None else np.array(classes, np.int64)
    at = np.arange(n) / (2 * n) if places is None else np.array(places, float)
    probabilities = np.full((n, 2), 0.25, np.float32)
    probabilities[np.arange(n), numbers] = 0.75
    return Ranking(np.array(tasks, np.int64), at, np.zeros(n, bool), probabilities)


def tasks_of(label_studio, session):
    return label_studio.task_ids(session.project)


def test_a_queue_is_stored_in_its_order_with_the_class_and_its_probability(label_studio, session):
    tasks = tasks_of(label_studio, session)[:3]
    assert publish(session, VERSION, ranking(tasks, classes=[0, 1, 0]), never) == 3
    found = sorted(label_studio.predictions.values(), key=lambda p: p["score"])
    assert [p["task"] for p in found] == tasks
    assert [p["result"][0]["value"]["choices"] for p in found] == [["ants"], ["bees"], ["ants"]]
    assert found[0]["result"][0]["score"] == 0.75


def test_a_queue_without_a_head_carries_no_pre_annotation(label_studio, session):
    publish(session, VERSION, replace(ranking(tasks_of(label_studio, session)[:3]), probabilities=None), never)
    assert [p["result"] for p in label_studio.predictions.values()] == [[], [], []]


def test_a_random_slot_carries_no_pre_annotation(label_studio, session):
    (task, *_) = tasks_of(label_studio, session)
    publish(session, VERSION, replace(ranking([task]), slots=np.ones(1, bool)), never)
    assert [p["result"] for p in label_studio.predictions.values()] == [[]]


def test_a_task_deleted_meanwhile_costs_itself_alone(label_studio, session):
    tasks = tasks_of(label_studio, session)
    label_studio.client().request("DELETE", f"/api/tasks/{tasks[2]}/")
    assert publish(session, VERSION, ranking(tasks), never) == 9
    assert set(stored(label_studio, VERSION)) == set(tasks) - {tasks[2]}
    assert tasks[2] not in {row.task for row in session.index.rows()}


def test_all_tasks_deleted_meanwhile_is_no_error(label_studio, session):
    tasks = tasks_of(label_studio, session)
    for task in tasks:
        label_studio.client().request("DELETE", f"/api/tasks/{task}/")
    assert publish(session, VERSION, ranking(tasks), never) == 0


def test_a_score_that_is_dropped_without_a_word_costs_itself_alone(label_studio, session, caplog):
    tasks = tasks_of(label_studio, session)[:4]
    assert publish(session, VERSION, ranking(tasks, [0.1, 1.5, 0.2, 0.3]), never) == 3
    assert set(session.index.published.scores(VERSION)) == set(stored(label_studio, VERSION)) == set(tasks) - {tasks[1]}
    assert f"1 predictions of {VERSION} not stored (task {tasks[1]}): dropped" in caplog.text


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_prediction_that_makes_label_studio_refuse_the_import_costs_itself_alone(label_studio, session, status):
    tasks = tasks_of(label_studio, session)
    label_studio.refuses = lambda request: status if any(p["task"] == tasks[6] for p in request.body) else 0
    assert publish(session, VERSION, ranking(tasks), never) == 9
    assert {task: len(scores) for task, scores in stored(label_studio, VERSION).items()} == {
        task: 1 for task in tasks if task != tasks[6]
    }


def test_more_than_half_not_stored_is_an_error_with_the_reason(label_studio, session):
    tasks = tasks_of(label_studio, session)
    with pytest.raises(PublishError, match=r"6 of 10 .* dropped without a word"):
        publish(session, VERSION, ranking(tasks, [0.1] * 4 + [2] * 6), never)


def test_an_outage_is_no_matter_of_single_predictions(label_studio, session):
    label_studio.faults.append(Fault("POST", "import/predictions", 502))
    with pytest.raises(LabelStudioError):
        publish(session, VERSION, ranking(tasks_of(label_studio, session)), never)
    assert stored(label_studio, VERSION) == {}


def test_a_queue_that_was_overtaken_is_not_published(label_studio, session):
    def overtaken():
        raise Superseded("a later job took over")

    with pytest.raises(Superseded):
        publish(session, VERSION, ranking(tasks_of(label_studio, session)), overtaken)
    assert stored(label_studio, VERSION) == {}


def test_more_of_a_version_replaces_what_is_stored_of_the_same_tasks(label_studio, session):
    tasks = tasks_of(label_studio, session)
    sent = [{"task": task, "result": [], "score": 0.7, "model_version": VERSION} for task in tasks[:3]]
    label_studio.client().import_predictions(session.project, sent)  # as "Retrieve predictions" does
    publish_more(session, VERSION, ranking(tasks[:2], [0.2, 0.3]), never)
    assert stored(label_studio, VERSION) == {tasks[0]: [0.2], tasks[1]: [0.3], tasks[2]: [0.7]}


def test_more_of_a_version_leaves_other_versions_alone(label_studio, session):
    tasks = tasks_of(label_studio, session)
    sent = [{"task": tasks[0], "result": [], "score": 0.7, "model_version": "al-2-ffffff"}]
    label_studio.client().import_predictions(session.project, sent)
    publish_more(session, VERSION, ranking(tasks[:1], [0.2]), never)
    assert stored(label_studio, "al-2-ffffff") == {tasks[0]: [0.7]}


def test_a_switch_lets_label_studio_follow(label_studio, session):
    publish(session, VERSION, ranking(tasks_of(label_studio, session)), never)
    switch(session, VERSION, never)
    assert label_studio.projects[session.project]["model_version"] == VERSION
    assert (session.state.live, session.state.followed) == (VERSION, VERSION)


def test_a_version_of_which_nothing_is_published_is_not_followed(label_studio, session):
    switch(session, VERSION, never)
    assert label_studio.projects[session.project]["model_version"] == ""
