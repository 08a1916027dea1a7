"""Accepting labels: checks at the head of the queue, what is written, what a person's edit means, and taking all back."""

import numpy as np
import pytest

from backend.__main__ import main
from backend.index.index import ACCEPTED, LABELLED, UNLABELLED
from backend.jobs.accept import accept
from backend.jobs.publish import publish_more
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.labelstudio.accepted import MARK, VERSION
from backend.labelstudio.client import LabelStudioError
from backend.learning.audit import audited
from backend.learning.rounds import Ranking
from backend.project import embedding
from backend.records.wishes import ACCEPT, TAKE_BACK, VALIDATE, Wishes
from backend.status.accepting import accepting_values
from tests.backend.jobs.made_up import CLASSES, Colours, never
from tests.label_studio_in_memory import Fault

IMAGES, ERROR, CHECKS = 72, 0.2, 22


@pytest.fixture
def place(make_place, monkeypatch):
    """A connected project whose version has learned both classes, all images embedded."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    place = make_place(IMAGES)
    place.label(0, 1, 2, 3)
    place.run(run_round)
    return place


def wish(place, act, **values):
    """Wish for something and have it done; returns what was said."""
    wishes = Wishes(documents(place))
    number = wishes.add(act, **values)
    place.run(accept)
    return wishes.outcome(number)["said"]


def documents(place):
    with place.session() as session:
        return session.documents


def validate(place, n=CHECKS, **values):
    return wish(place, VALIDATE, n=n, error=ERROR, **values)


def accept_as(place, form="predictions"):
    return wish(place, ACCEPT, error=ERROR, form=form)


def asked(place):
    with place.session() as session:
        return session.validation.asked().tolist()


def answer(place, tasks, wrong=()):
    """A person labels these tasks, some of them otherwise than they look."""
    for task in tasks:
        number = place.tasks.index(task)
        place.studio.label(task, CLASSES[(number + (task in wrong)) % 2])


def states(place):
    with place.session() as session:
        session.sync()
        return {row.task: row.state for row in session.index.rows()}


def accepted(place):
    return [task for task, state in states(place).items() if state == ACCEPTED]


@pytest.fixture
def checked(place):
    """The checks are asked for and answered."""
    validate(place)
    answer(place, asked(place))
    return place


def test_checks_come_first_in_the_queue_without_a_guess(place):
    assert f"{CHECKS} images of which {place.live()} is sure come next" in validate(place)
    place.run(reconcile)
    live = place.live()
    first = [task for task in place.predictions(live) if states(place)[task] == UNLABELLED][:CHECKS]
    assert first == asked(place)
    assert [p["result"] for p in place.studio.predictions.values() if p["model_version"] == live and p["task"] in first] == (
        [[]] * CHECKS
    )


def test_they_stay_there_over_a_round_until_answered(place):
    validate(place)
    answer(place, asked(place)[:3])
    place.run(run_round)
    assert place.predictions(place.live())[: CHECKS - 3] == asked(place)[3:]


def test_a_later_ask_is_about_more_images_of_the_same_head(place):
    validate(place)
    before, frozen = asked(place), place.live()
    answer(place, before)
    place.run(run_round)
    validate(place, n=4)
    assert asked(place)[:CHECKS] == before
    assert len(asked(place)) == CHECKS + 4
    with place.session() as session:
        assert session.validation.read().version == frozen != place.live()


def test_anew_freezes_the_newest_version(checked):
    checked.run(run_round)
    validate(checked, anew=True)
    with checked.session() as session:
        assert session.validation.read().version == checked.live()
    assert not set(asked(checked)) - {task for task, state in states(checked).items() if state == UNLABELLED}


def test_without_checks_nothing_is_accepted_and_it_says_what_to_ask_for(place):
    validate(place, n=1)
    said = accept_as(place)
    assert said.startswith("Nothing can be accepted yet at 20 % wrong: 0 images checked, and 1 image wait to be. About ")
    assert f"`al-backend validate --project {place.project} --n " in said
    assert not accepted(place)


def test_before_anything_is_frozen_it_says_to_validate(place):
    assert "`al-backend validate --project" in accept_as(place)


def test_too_many_wrong_answers_allow_nothing(place):
    validate(place)
    answer(place, asked(place), wrong=asked(place)[:8])
    assert accept_as(place).startswith("Nothing can be accepted yet")


def test_a_dry_run_says_what_may_be_accepted_and_writes_nothing(checked, capsys):
    before = len(checked.studio.predictions)
    assert main(["accept", "--project", str(checked.project), "--dry-run"]) == 0
    assert "images may be accepted: at most 20 % of them are labelled wrongly, with 95 % confidence" in capsys.readouterr().out
    assert len(checked.studio.predictions) == before


def test_accepted_labels_are_predictions_under_a_name_of_their_own(checked):
    said = accept_as(checked)
    assert "accepted as predictions" in said
    assert "at most 20 % of them are labelled wrongly, with 95 % confidence" in said
    tasks = accepted(checked)
    assert len(tasks) > 20
    assert sorted(checked.predictions(VERSION)) == tasks
    for prediction in checked.studio.predictions.values():
        if prediction["model_version"] == VERSION:
            (region,) = prediction["result"]
            assert region["value"] == {"choices": [CLASSES[checked.tasks.index(prediction["task"]) % 2]]}
            assert region[MARK]["error"] == ERROR
    assert not {a["task"] for a in checked.studio.annotations.values()} & set(tasks)


def test_as_annotations_they_bear_the_mark_in_their_result(checked):
    accept_as(checked, "annotations")
    tasks = accepted(checked)
    made = [a for a in checked.studio.annotations.values() if a["task"] in tasks]
    assert len(made) == len(tasks) > 20
    assert all(MARK in a["result"][0] for a in made)


@pytest.mark.parametrize("form", ["predictions", "annotations"])
def test_they_teach_nothing_and_leave_the_queue(checked, form):
    accept_as(checked, form)
    tasks = accepted(checked)
    version = checked.run(run_round)["version"]
    with checked.session() as session:
        assert not set(session.versions.load(version).tasks.tolist()) & set(tasks)
    audits = set(np.array(tasks)[audited(np.array(tasks))].tolist())
    assert set(checked.predictions(version)) & set(tasks) <= audits


def test_at_once_they_stand_behind_everything_else(checked):
    live = checked.live()
    queued = {p["task"] for p in checked.studio.predictions.values() if p["model_version"] == live}
    accept_as(checked)
    checked.run(reconcile)
    tasks = np.array(accepted(checked))
    moved = queued & set(tasks[~audited(tasks)].tolist())
    assert moved
    scores = {p["task"]: p["score"] for p in checked.studio.predictions.values() if p["model_version"] == live}
    assert {scores[task] for task in moved} == {1.0}


def test_nor_is_anybody_asked_about_them_by_the_queue_before_where_a_round_has_nothing_left_to_publish(checked):
    accept_as(checked)
    answer(checked, [task for task, state in states(checked).items() if state == UNLABELLED])
    checked.run(run_round)
    checked.run(reconcile)
    followed = [p for p in checked.studio.predictions.values() if p["model_version"] == checked.live()]
    tasks = accepted(checked)
    assert {p["score"] for p in followed if p["task"] in tasks} == {1.0}


@pytest.mark.parametrize("form", ["predictions", "annotations"])
def test_all_is_found_again_in_label_studio_after_data_dir_is_lost(checked, form):
    accept_as(checked, form)
    before = accepted(checked)
    with checked.session() as session:
        session.index.clear()
        session.validation.clear()
    assert accepted(checked) == before


def test_a_persons_edit_makes_the_label_theirs(checked):
    accept_as(checked, "annotations")
    task = accepted(checked)[0]
    (annotation,) = [a for a in checked.studio.annotations.values() if a["task"] == task]
    region = {key: value for key, value in annotation["result"][0].items() if key != MARK}
    body = {"result": [region | {"value": {"choices": ["bees"]}}]}
    checked.studio.client().request("PATCH", f"/api/annotations/{annotation['id']}/", json=body)
    assert states(checked)[task] == LABELLED
    wish(checked, TAKE_BACK)
    assert states(checked)[task] == LABELLED


@pytest.mark.parametrize("form", ["predictions", "annotations"])
def test_one_command_takes_them_all_back(checked, form):
    accept_as(checked, form)
    count, before = len(accepted(checked)), len(checked.studio.annotations)
    said = wish(checked, TAKE_BACK)
    assert said.startswith(f"{count} accepted labels were taken back")
    assert not accepted(checked)
    assert not checked.predictions(VERSION)
    assert len(checked.studio.annotations) == before - (count if form == "annotations" else 0)
    assert wish(checked, TAKE_BACK).startswith("Nothing is accepted")


def test_what_was_interrupted_is_ended_as_it_was_decided(checked):
    checked.studio.faults.append(Fault("POST", "/api/dm/actions", 400))
    Wishes(documents(checked)).add(ACCEPT, error=ERROR, form="annotations")
    with pytest.raises(LabelStudioError):
        checked.run(accept)
    decided = sorted(checked.predictions(VERSION))
    assert decided
    assert "accept" in checked.state.errors
    answer(checked, decided[:1], wrong=decided[:1])
    checked.run(accept)
    assert accepted(checked) == decided[1:]
    assert sorted(a["task"] for a in checked.studio.annotations.values() if MARK in str(a["result"])) == decided[1:]
    assert sorted(checked.predictions(VERSION)) == decided


def test_an_image_is_accepted_once_however_often_it_is_asked(checked):
    accept_as(checked)
    before = len(checked.studio.predictions)
    assert "has been accepted" in accept_as(checked)
    assert len(checked.studio.predictions) == before


def test_answers_that_contradict_the_promise_warn(checked):
    accept_as(checked)
    tasks = np.array(accepted(checked))
    audits = tasks[audited(tasks)].tolist()
    answer(checked, audits, wrong=audits)
    with checked.session() as session:
        session.sync()
        audits_said = accepting_values(session.documents, session.index)["audits"]
    assert audits_said == {
        "answered": len(audits),
        "wrong": len(audits),
        "promised": pytest.approx(ERROR),
        "contradicted": True,
    }


def test_an_accepted_annotation_makes_way_when_its_image_is_asked_about(checked):
    accept_as(checked, "annotations")
    tasks = np.array(accepted(checked)[:2])
    ranking = Ranking(tasks, np.array([0.1, 0.2]), np.ones(2, bool), None)
    with checked.session() as session:
        session.sync()
        publish_more(session, checked.live(), ranking, never)
    assert not {a["task"] for a in checked.studio.annotations.values()} & set(tasks.tolist())
    assert all(states(checked)[task] == ACCEPTED for task in tasks.tolist())
