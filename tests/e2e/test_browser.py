"""Labelling by keyboard in a real browser: agreeing with a pre-annotation, correcting one, and answering without one.

The hotkey of a class that a pre-annotation has ticked unticks it. No label may be lost by that.
"""

import re

import pytest

from backend.bench.label_studio import name_of
from tests.e2e.conftest import Annotator, first, wait_until

CLASSES = ["ants", "bees"]
IMAGES = 24
SHOWN = "name => [...document.querySelectorAll('label')].some(label => label.textContent.trim().startsWith(name))"
TICKED = """classes => classes.filter(name => [...document.querySelectorAll('input:checked')].some(
    input => input.closest('label')?.textContent.trim().startsWith(name)))"""


class Editor:
    """Someone in front of "Label All Tasks", with the keyboard alone."""

    def __init__(self, browser, house, annotator, project):
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        cookies = [{"name": c.name, "value": c.value, "url": house.admin.url} for c in annotator._http.cookies.jar]
        context.add_cookies(cookies)
        self._page = context.new_page()
        self._page.set_default_timeout(60_000)
        self._house = house
        self.task = None
        self._page.on("response", self._note)
        self._page.goto(f"{house.admin.url}/projects/{project}/data?labeling=1")
        self._wait_for_task(None)

    def _note(self, response):
        if re.search(r"/next\b|action.*next_task", response.url) and response.ok:
            self.task = response.json()

    def _wait_for_task(self, before):
        """Wait until another task is open in the editor."""
        for _ in range(300):
            self._page.wait_for_timeout(200)
            if self.task and self.task["id"] != before:
                break
        assert self.task
        assert self.task["id"] != before
        self._page.wait_for_function(SHOWN, arg=CLASSES[0])
        if any(prediction["result"] for prediction in self.task["predictions"]):
            self._wait_until(lambda: self.ticked)  # the pre-annotation is copied into the answer
        else:
            self._page.wait_for_timeout(1500)

    def _wait_until(self, condition):
        """Wait, at most 20 s, until the page shows what `condition` looks for."""
        for _ in range(100):
            self._page.wait_for_timeout(200)
            if condition():
                return

    @property
    def ticked(self):
        """The classes that are ticked."""
        return self._page.evaluate(TICKED, CLASSES)

    @property
    def can_submit(self):
        """Whether the button Submit is not greyed."""
        return self._page.locator("button[name=submit]").is_enabled()

    def press(self, choice):
        """Press the hotkey of a class."""
        before = self.ticked
        self._page.keyboard.press(str(CLASSES.index(choice) + 1))
        self._wait_until(lambda: self.ticked != before)

    def try_to_submit(self):
        """Press Ctrl+Enter where it must do nothing."""
        self._page.keyboard.press("Control+Enter")
        self._page.wait_for_timeout(2000)

    def submit(self):
        """Press Ctrl+Enter, and wait for the next task."""
        before = self.task["id"]
        self._wait_until(lambda: self.can_submit)
        self._page.keyboard.press("Control+Enter")
        self._wait_for_task(before)


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
    editor = Editor(chromium, house, annotator, project)
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
