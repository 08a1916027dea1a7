"""Several people at one project, on a real Label Studio: who is asked about what, and the pages that tell of it."""

from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.bench.label_studio import name_of
from backend.index.index import Index
from backend.records.doubts import read_found
from backend.records.state import Projects
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.person import DESK, PHONE, Person

pytestmark = pytest.mark.soak

CLASSES = ["ants", "bees"]
OTHER = {"ants": "bees", "bees": "ants"}
IMAGES, LABELS = 60, 30


@pytest.fixture(scope="module")
def tasks(house, insects):
    """The tasks of a connected project, by their ids; its first ones will be labelled by Ann."""
    project = house.project("Several people", first(insects, 0, IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    found = {task["id"]: task for page in house.admin.tasks(project) for task in page}
    return project, dict(sorted(found.items()))


@pytest.fixture(scope="module")
def ann(house):
    """An annotator."""
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def ben(house):
    """Another one."""
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def doubted(house, insects, tasks, ann):
    """Ann labels LABELS images, the fourth of them wrongly; returns the project and that task, once the live version has
    learned from all of them and doubts it."""
    project, by_id = tasks
    for number, task in enumerate(list(by_id.values())[:LABELS]):
        truth = insects[name_of(task)][0]
        ann.label(task, OTHER[truth] if number == 3 else truth)
    documents = Projects(house.settings.data_dir).documents(project)

    def judged():
        found = read_found(documents, house.live(project))
        return found if found and found.judged >= LABELS else None

    found = wait_until(judged, 180, "doubts of all labels")
    assert list(by_id)[3] in [doubt.task for doubt in found.doubts[:3]]
    return project, list(by_id)[3]


def task_of(house, task):
    """A task as Label Studio gives it."""
    return house.admin.request("GET", f"/api/tasks/{task}/")


def has_place(house, project, task):
    """Whether the live version has a prediction for a task."""
    return task in house.queue(project, house.live(project))


def test_asking_again_on_the_page_makes_it_the_next_image_of_another_annotator_alone(chromium, house, doubted, ann, ben):
    project, task = doubted
    person = Person(chromium, house)
    person.open(f"/projects/{project}/doubts")
    person.page.get_by_role("button", name=f"Ask again about task {task}").click()
    person.page.get_by_role("status").wait_for()
    assert f"task {task}" in person.page.get_by_role("status").inner_text()
    wait_until(lambda: has_place(house, project, task), 60, "a place before the queue")
    assert ann.next(project)["id"] != task
    served = ben.next(project)
    assert served["id"] == task
    assert served["predictions"] == [] or not any(prediction["result"] for prediction in served["predictions"])
    assert person.complaints == []


def test_the_second_answer_settles_it_with_what_the_model_sees(house, insects, tasks, doubted, ben):
    project, task = doubted
    truth = insects[name_of(tasks[1][task])][0]
    ben.label(tasks[1][task], truth)

    def settled():
        with closing(Index(house.settings.data_dir / "projects" / str(project) / "index.sqlite")) as index:
            return len(index.answers.of(task)) == 2 and index.row(task).label == truth

    wait_until(settled, 120, "the label of the two that looks right")
    assert task_of(house, task)["overlap"] == 2
    assert task_of(house, task)["is_labeled"] is True


def test_what_people_disagree_about_names_them_and_leads_to_label_studio(chromium, house, doubted):
    project, task = doubted
    person = Person(chromium, house)
    rows = person.page.locator("tbody tr")
    wait_until(lambda: person.open(f"/projects/{project}/people") and rows.count() == 2, 60, "the answers of both")
    assert "Krippendorff's alpha" in person.page.locator("main").inner_text()
    assert "@example.org" in person.page.locator("tbody").inner_text()
    person.page.get_by_role("link", name="1 image that people disagree about").click()
    person.page.get_by_role("heading", name="Doubts").wait_for()
    link = person.page.get_by_role("link", name=f"Task {task}", exact=True).last
    assert (link.get_attribute("href") or "").endswith(f"/projects/{project}/data?task={task}")
    assert person.complaints == []


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_neither_page_hides_anything_from_a_screen_reader_or_a_phone(chromium, house, doubted, viewport, scheme):
    person = Person(chromium, house, viewport, scheme)
    for page in ("doubts", "people"):
        person.open(f"/projects/{doubted[0]}/{page}")
        found = Axe().run(person.page).response["violations"]
        assert [f"{page}: {fault['id']}" for fault in found if fault["impact"] in ("serious", "critical")] == []
        assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page


def test_a_label_is_kept_by_keyboard(chromium, house, doubted):
    project, _ = doubted
    person = Person(chromium, house)
    person.open(f"/projects/{project}/doubts")
    buttons = person.page.get_by_role("button", name="is right")
    before = buttons.count()
    assert before
    buttons.first.focus()
    person.page.keyboard.press("Enter")
    wait_until(lambda: person.page.locator("h1").count() and buttons.count() < before, 10, "one less")
