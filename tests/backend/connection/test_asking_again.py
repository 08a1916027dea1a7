"""Empty answers are put back on demand: a copy first, none that is meant, nothing lost on a crash."""

import json

import pytest

from backend.connection.asking_again import OTHERWISE, SPARED, ask_again
from backend.labelstudio.client import LabelStudioError
from tests.backend.jobs.made_up import session_on, settings_for
from tests.label_studio_in_memory import Fault


@pytest.fixture
def session(label_studio, make_settings):
    """A connected project of six images."""
    with session_on(label_studio, settings_for(make_settings), 6) as session:
        yield session


def put_back(session, **options):
    return ask_again(session, lambda *_: None, **options)


def copies(session):
    """Annotations of which a copy is kept, by id."""
    folder = session.projects.folder(session.project) / "asked-again"
    return {(found := json.loads(path.read_text()))["annotation"]["id"]: found for path in folder.glob("*.json")}


def served(label_studio, session):
    return label_studio.client().request("GET", f"/api/projects/{session.project}/next")["id"]


def test_a_task_answered_with_nothing_is_served_again(label_studio, session):
    (task, *_) = label_studio.task_ids(session.project)
    label_studio.label(task, None)
    label_studio.projects[session.project]["sampling"] = "Sequential sampling"
    assert served(label_studio, session) != task
    assert put_back(session).tasks == 1
    assert served(label_studio, session) == task


def test_a_copy_of_the_whole_annotation_is_kept(label_studio, session):
    task = label_studio.task_ids(session.project)[0]
    annotation = label_studio.label(task, None, lead_time=3.5)
    put_back(session)
    kept = copies(session)[annotation]
    assert (kept["task"], kept["annotation"]["lead_time"]) == (task, 3.5)


def test_the_copy_comes_before_the_deletion(label_studio, session):
    annotation = label_studio.label(label_studio.task_ids(session.project)[0], None)
    label_studio.faults.append(Fault("DELETE", "/api/annotations/", 403))
    put_back(session)
    assert annotation in copies(session)
    assert annotation in label_studio.annotations


def test_labels_are_left_alone(label_studio, session):
    for task in label_studio.task_ids(session.project):
        label_studio.label(task, "ants")
    assert put_back(session).tasks == 0
    assert len(label_studio.annotations) == 6


def test_a_task_that_somebody_labelled_is_left_alone_with_its_empty_answer(label_studio, session):
    task = label_studio.task_ids(session.project)[0]
    label_studio.label(task, None)
    label_studio.label(task, "ants", completed_by=2)
    assert put_back(session).tasks == 0
    assert len(label_studio.annotations) == 2


def test_skips_are_no_empty_answers(label_studio, session):
    label_studio.label(label_studio.task_ids(session.project)[0], None, was_cancelled=True)
    assert put_back(session).tasks == 0


@pytest.mark.parametrize("mark", [{"ground_truth": True}, {"import_id": 7}])
def test_ground_truth_and_imported_answers_are_spared(label_studio, session, mark):
    label_studio.label(label_studio.task_ids(session.project)[0], None, **mark)
    outcome = put_back(session)
    assert (outcome.tasks, outcome.left[SPARED]) == (0, 1)
    assert len(label_studio.annotations) == 1


def test_an_answer_to_another_control_is_left_alone(label_studio, session):
    item = {"from_name": "quality", "to_name": "image", "type": "choices", "value": {"choices": ["ok"]}}
    label_studio.label(label_studio.task_ids(session.project)[0], None, result=[item])
    outcome = put_back(session)
    assert (outcome.tasks, outcome.left[OTHERWISE]) == (0, 1)
    assert len(label_studio.annotations) == 1


@pytest.mark.parametrize("result", [{"a": 1}, 7, "text", [None], [3]])
def test_what_is_no_list_of_answers_is_left_alone(label_studio, session, result):
    label_studio.label(label_studio.task_ids(session.project)[0], None, result=result)
    assert put_back(session).tasks == 0
    assert len(label_studio.annotations) == 1


def test_a_dry_run_deletes_nothing(label_studio, session):
    label_studio.label(label_studio.task_ids(session.project)[0], None)
    assert put_back(session, dry_run=True).tasks == 1
    assert len(label_studio.annotations) == 1
    assert copies(session) == {}


def test_the_second_time_there_is_nothing_to_do(label_studio, session):
    label_studio.label(label_studio.task_ids(session.project)[0], None)
    put_back(session)
    assert put_back(session).tasks == 0


def test_an_outage_in_between_is_taken_up_again(label_studio, session, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    for task in label_studio.task_ids(session.project)[:3]:
        label_studio.label(task, None)
    label_studio.faults.append(Fault("DELETE", f"/api/annotations/{max(label_studio.annotations)}/", 503, times=99))
    with pytest.raises(LabelStudioError):
        put_back(session)
    label_studio.faults.clear()
    put_back(session)
    assert label_studio.annotations == {}
    assert len(copies(session)) == 3


def test_what_is_refused_of_one_task_costs_that_task_alone(label_studio, session):
    for task in label_studio.task_ids(session.project)[:3]:
        label_studio.label(task, None)
    label_studio.faults.append(Fault("DELETE", "/api/annotations/", 403))
    outcome = put_back(session)
    assert (outcome.tasks, outcome.left.total()) == (2, 1)
