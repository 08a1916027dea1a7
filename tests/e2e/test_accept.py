"""Accepting labels on a real Label Studio: checked by a person, written in both forms, edited in a browser, taken back."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.bench.label_studio import name_of
from backend.labelstudio.accepted import MARK, VERSION
from backend.project.validation import Validation
from backend.records.state import Projects
from tests.conftest import every_prediction
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.editor import TICKED, label_studio_page
from tests.e2e.person import Person

CLASSES = ["ants", "bees"]
IMAGES, LABELS, CHECKS, ERROR = 60, 20, 16, "0.45"  # so many labels that the head is sure of most, whichever they are

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def annotator(house):
    """Someone who labels."""
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def project(house, annotator, insects):
    """A connected project in which a person has answered all checks, and found the frozen head right."""
    project = house.project("Accept", first(insects, 0, IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    for _ in range(LABELS):
        task = annotator.next(project)
        annotator.label(task, insects[name_of(task)][0])
    house.cli("retrain", "--project", str(project))
    said = house.cli("validate", "--project", str(project), "--n", str(CHECKS), "--error", ERROR)
    print(said)
    assert f"{CHECKS} images of which al-" in said
    validation = Validation(Projects(house.settings.data_dir).documents(project))
    asked, frozen = validation.asked().tolist(), validation.read()
    population = validation.candidates(frozen)
    guesses = dict(zip(population.tasks.tolist(), population.guesses.tolist(), strict=True))
    opened, answered = house.open_tasks(project), []

    def head():
        """The first open tasks of the queue."""
        return [task for task in house.queue(project, house.live(project)) if task in opened][:CHECKS]

    wait_until(lambda: head() == asked, what="all checks stand at the head of the queue")
    while len(answered) < CHECKS:
        task = annotator.next(project)
        live = house.live(project)
        shown = [p["result"] for p in house.admin.task_predictions(task["id"]) if p["model_version"] == live]
        assert shown == [[]]  # no guess sways
        annotator.label(task, CLASSES[guesses[task["id"]]])
        answered.append(task["id"])
    assert set(answered) == set(asked)
    return project


def accepted(house, project):
    """Tasks with an accepted prediction, and those with an accepted annotation."""
    predicted = {p["task"] for p in every_prediction(house.admin, project) if p["model_version"] == VERSION}
    tasks = [task for page in house.admin.tasks(project) for task in page]
    return predicted, {t["id"] for t in tasks if any(MARK in json.dumps(a["result"]) for a in t["annotations"])}


def counted(house, project):
    """What `status` says of tasks."""
    projects = json.loads(house.cli("status", "--json"))["projects"]
    return next(p["tasks"] for p in projects if p["project"] == project)


def take_back(house, project):
    said = house.cli("accept", "--project", str(project), "--take-back")
    print(said)
    assert accepted(house, project) == (set(), set())
    assert counted(house, project)["accepted"] == 0


def test_the_page_accept_can_be_used_by_everybody(chromium, house, project):
    person = Person(chromium, house)
    path, said = f"/projects/{project}/accept", f"{CHECKS} of {CHECKS} images are checked"
    wait_until(lambda: said in person.open(path), 60, "the checks are counted")
    found = Axe().run(person.page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
    assert person.complaints == []


def test_labels_are_accepted_as_predictions_leave_the_queue_and_are_taken_back(house, project):
    dry = house.cli("accept", "--project", str(project), "--dry-run")
    assert "may be accepted: at most 45 % of them are labelled wrongly, with 95 % confidence" in dry
    print(house.cli("accept", "--project", str(project)))
    predicted, annotated = accepted(house, project)
    assert len(predicted) > IMAGES / 5
    assert not annotated
    assert counted(house, project)["accepted"] == len(predicted)
    house.cli("retrain", "--project", str(project))
    version = house.newest(project)
    assert len(version.tasks) == LABELS + CHECKS == counted(house, project)["labelled"]
    assert not set(version.tasks.tolist()) & predicted
    live = house.live(project)
    guessed = [
        p
        for p in every_prediction(house.admin, project)
        if p["model_version"] == live and p["task"] in predicted and p["result"]
    ]
    assert {p["score"] for p in guessed} <= {1.0}  # behind everything else
    take_back(house, project)


def test_a_persons_edit_in_the_browser_makes_an_accepted_annotation_theirs(chromium, house, project, annotator):
    print(house.cli("accept", "--project", str(project), "--as", "annotations"))
    predicted, annotated = accepted(house, project)
    assert annotated == predicted
    task = min(annotated)
    (stored,) = house.admin.annotations(task)
    (said,) = stored["result"][0]["value"]["choices"]
    other = CLASSES[1 - CLASSES.index(said)]
    edited = _relabel(chromium, house, annotator, project, task, other)
    assert MARK not in json.dumps(edited["result"])
    house.cli("retrain", "--project", str(project))
    assert task in house.newest(project).tasks.tolist()
    assert counted(house, project)["labelled"] == LABELS + CHECKS + 1
    take_back(house, project)
    assert [a["result"][0]["value"]["choices"] for a in house.admin.annotations(task)] == [[other]]


def _relabel(chromium, house, annotator, project, task, choice):
    """Open a task as the Data Manager does, press a class's hotkey, and Update; returns what is stored then."""
    shown = "button[name=submit]"
    page = label_studio_page(chromium, house, annotator, f"/projects/{project}/data?task={task}", shown)
    update = page.locator(shown)
    wait_until(lambda: page.evaluate(TICKED, CLASSES), 30, "the accepted label is ticked")

    def changed():
        """The class is ticked alone, and the editor knows that this is new: what is pressed while it loads counts as loaded."""
        is_ticked = page.evaluate(TICKED, CLASSES) == [choice]
        if is_ticked and update.is_enabled():
            return True
        pressed = 1 - CLASSES.index(choice) if is_ticked else CLASSES.index(choice)
        page.keyboard.press(str(pressed + 1))
        page.wait_for_timeout(5000)
        return False

    wait_until(changed, 240)
    page.keyboard.press("Control+Enter")
    (edited,) = wait_until(
        lambda: [a for a in house.admin.annotations(task) if a["result"][0]["value"]["choices"] == [choice]], 60, "the edit"
    )
    page.context.close()
    return edited
