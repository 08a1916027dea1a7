"""An annotator who only ever sees Label Studio: after a retraining the next image is the first of the new queue."""

import pytest

from backend.bench.label_studio import name_of
from tests.conftest import every_prediction
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.editor import Editor

pytestmark = pytest.mark.soak

CLASSES = ["ants", "bees"]
IMAGES = 60
ROUNDS = 3
TRIES = 3  # images after a switch, of which one must be the head of the queue


@pytest.fixture(scope="module")
def project(house, insects):
    """A connected project."""
    project = house.project("Browser queue", first(insects, 100, 100 + IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    return project


def test_after_each_retraining_the_next_image_is_the_head_of_the_new_queue(chromium, house, project, insects):
    editor = Editor(chromium, house, Annotator(house.admin), project, CLASSES)
    for _ in range(ROUNDS):
        before = house.live(project)
        for _ in range(4):
            _answer(editor, insects)
        wait_until(lambda old=before: house.live(project) != old, 120, "a version that has learned")
        assert any(_is_the_head(editor, house, project, insects, before) for _ in range(TRIES))


def _is_the_head(editor, house, project, insects, before):
    """Answer the image that is open; whether the next one is the first open one of the version that it was served by, which is
    not `before`. Not so where the page had asked for an image before the switch, which stays this person's."""
    _answer(editor, insects)
    version, open_tasks = editor.task["predictions"][0]["model_version"], house.open_tasks(project)
    head = next(task for task in house.queue(project, version) if task in open_tasks)
    return version != before and editor.task["id"] == head


def _answer(editor, insects):
    """Choose the class of the image that is open, by its hotkey where it is not ticked already, and submit by Ctrl+Enter."""
    choice = insects[name_of(editor.task)][0]
    if editor.ticked != [choice]:
        editor.press(choice)
    editor.submit()


def test_an_image_that_stands_open_while_the_queue_moves_on_can_still_be_submitted(chromium, house, project, insects):
    editor = Editor(chromium, house, Annotator(house.admin), project, CLASSES)
    while not editor.ticked:
        _answer(editor, insects)
    task, before, other = editor.task["id"], house.live(project), Annotator(house.admin)
    for _ in range(12):
        served = other.next(project)
        other.label(served, insects[name_of(served)][0])
    wait_until(lambda: house.live(project) != before, 120, "a version that has learned the others' labels")
    wait_until(lambda: _old_of_answered(house, project, before) == [], 300, "old predictions are cleaned away")
    editor.submit()
    (annotation,) = house.admin.request("GET", f"/api/tasks/{task}/annotations/")
    assert annotation["result"]


def _old_of_answered(house, project, version):
    """Tasks with an answer that still have a prediction of `version`."""
    open_tasks = house.open_tasks(project)
    return [
        p["task"]
        for p in every_prediction(house.admin, project)
        if p["model_version"] == version and p["task"] not in open_tasks
    ]
