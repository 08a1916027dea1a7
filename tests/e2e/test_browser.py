"""Labelling by keyboard in a real browser: agreeing with a pre-annotation, correcting one, and answering without one.

The hotkey of a class that a pre-annotation has ticked unticks it. No label may be lost by that.
"""

import pytest

from backend.bench.label_studio import name_of
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.editor import Editor

CLASSES = ["ants", "bees"]
IMAGES = 24


@pytest.fixture(scope="module")
def annotator(house):
    """Someone who labels."""
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def project(house, annotator, insects):
    """A connected project whose version has learned both classes, so that its picks are pre-annotated."""
    project = house.project("Browser", first(insects, 0, IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    given = set()
    while len(given) < len(CLASSES) or len(house.open_tasks(project)) > IMAGES - 4:
        task = annotator.next(project)
        choice = insects[name_of(task)][0]
        annotator.label(task, choice)
        given.add(choice)
    labelled = IMAGES - len(house.open_tasks(project))
    wait_until(lambda: len(house.version(project, house.live(project)).tasks) == labelled, what="the labels are trained on")
    house.cli("retrain", "--project", str(project))  # a round that waits is done by then
    house.cli("pause", "--project", str(project))  # no round of a slow machine's may change what is pre-annotated meanwhile
    open_tasks = house.open_tasks(project)
    third = [task for task in house.queue(project, house.live(project)) if task in open_tasks][2]
    for prediction in house.admin.task_predictions(third):  # as a random slot, which may not be due among so few images
        house.admin.request("PATCH", f"/api/predictions/{prediction['id']}", json={"result": []})
    return project


@pytest.fixture(scope="module")
def answers(chromium, house, annotator, project):
    """What an annotator met who agreed with one pre-annotation, corrected another and answered a task without one.

    By kind: the task, what they meant, and what they saw after the hotkey that unticks.
    """
    editor = Editor(chromium, house, annotator, project, CLASSES)
    found = {}
    for _ in range(IMAGES - 6):
        task, ticked = editor.task["id"], editor.ticked
        if not ticked:
            found.setdefault("not pre-annotated", {"task": task, "meant": CLASSES[0]})
            editor.press(CLASSES[0])
        elif "agreed with" not in found:
            editor.press(ticked[0])
            about = {"task": task, "meant": ticked[0], "left": editor.ticked, "can_submit": editor.can_submit}
            editor.try_to_submit()
            about |= {"stored": house.admin.request("GET", f"/api/tasks/{task}/annotations/"), "still": editor.task["id"]}
            found["agreed with"] = about
            editor.press(ticked[0])
        elif "corrected" not in found:
            other = CLASSES[1 - CLASSES.index(ticked[0])]
            editor.press(other)
            found["corrected"] = {"task": task, "meant": other}
        if len(found) == 3:
            break
        editor.submit()
    editor.submit()
    return found


def chosen(house, task):
    """The classes that are stored for a task."""
    annotations = house.admin.request("GET", f"/api/tasks/{task}/annotations/")
    return [item["value"]["choices"] for annotation in annotations for item in annotation["result"]]


def test_the_hotkey_of_a_ticked_class_unticks_it_and_submit_is_greyed(answers):
    assert answers["agreed with"]["left"] == []
    assert answers["agreed with"]["can_submit"] is False


def test_ctrl_enter_saves_no_empty_answer(answers):
    assert answers["agreed with"]["stored"] == []
    assert answers["agreed with"]["still"] == answers["agreed with"]["task"]


@pytest.mark.parametrize("kind", ["agreed with", "corrected", "not pre-annotated"])
def test_what_was_meant_is_what_is_stored(house, answers, kind):
    assert chosen(house, answers[kind]["task"]) == [[answers[kind]["meant"]]]


def test_no_label_is_lost(house, project, answers):
    assert answers
    tasks = [task for page in house.admin.tasks(project) for task in page]
    given = [annotation for task in tasks for annotation in task["annotations"]]
    assert len(given) >= 4 + len(answers)
    assert all(annotation["result"] for annotation in given)
