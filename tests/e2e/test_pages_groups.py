"""Look-alikes are labelled together in a real browser, on a real Label Studio: by keyboard, by mouse and by touch."""

import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.bench.label_studio import name_of
from backend.index.index import Index
from backend.learning.slots import SEED
from backend.records.groups import Groups
from model.storage.documents import DocumentsOnDisk
from strategies.arrays.hashing import uniform_hash
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.editor import Editor
from tests.e2e.person import DESK, PHONE, Person

pytestmark = pytest.mark.soak

CLASSES = ["ants", "bees"]
IMAGES = 100
SIZE = 10  # images of a group


@pytest.fixture(scope="module")
def annotator(house):
    """Someone who labels."""
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def token(annotator):
    """What they log in with."""
    return annotator.token()


@pytest.fixture(scope="module")
def project(house, annotator, insects):
    """A connected project with a version that has learned both classes."""
    project = house.project("Groups", first(insects, 160, 160 + IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    before = house.live(project)
    for _ in range(12):
        task = annotator.next(project)
        annotator.label(task, insects[name_of(task)][0])
    wait_until(lambda: house.live(project) != before, 120, "a version that has learned the labels")
    return project


@pytest.fixture(scope="module")
def truth(house, project, insects):
    """The class of each task, as the folders of the images say."""
    return {task["id"]: insects[name_of(task)][0] for page in house.admin.tasks(project) for task in page}


def choose(house, project, truth, label, odd=2):
    """A group that somebody has chosen: SIZE images of which all but `odd` are of a class, none with a label."""
    folder = house.settings.data_dir / "projects" / str(project)
    index = Index(folder / "index.sqlite")
    slots = {row.task for row, _, is_slot in index.published.queue(house.live(project), 1000) if is_slot}
    index.close()
    left = np.array(sorted(house.open_tasks(project) - slots), np.int64)
    left = left[uniform_hash(left, SEED) >= house.settings.explore].tolist()  # the others may be random slots some day
    right = [task for task in left if truth[task] == label][: SIZE - odd]
    wrong = [task for task in left if truth[task] != label][:odd]
    Groups(DocumentsOnDisk(folder)).ask([*right, *wrong], "a test")
    return right, wrong


class Labeller(Person):
    """Somebody on the page of groups."""

    def __init__(self, browser, house, project, token, **options):
        super().__init__(browser, house, token=token, **options)
        self.path = f"/projects/{project}/groups"

    def open(self, path=""):
        """The group that is shown, as tasks with their codes."""
        super().open(path or self.path)
        return self.group()

    def group(self):
        """The images of the page, and the keys that take them out."""
        self.page.locator("#group").wait_for()
        boxes = self.page.locator("[data-code]").all()
        return {int(box.get_attribute("name").split(":")[1]): box.get_attribute("data-code") for box in boxes}

    def out(self):
        """The images that are taken out."""
        boxes = self.page.locator("[data-code]:not(:checked)").all()
        return {int(box.get_attribute("name").split(":")[1]) for box in boxes}

    def hears(self, words):
        """Wait until the page tells of the last group in these words."""
        self.page.locator("#said", has_text=re.compile(words)).wait_for()


def choices(house, tasks):
    """What is stored for tasks: the classes with who has chosen them."""
    found = {task: house.admin.annotations(task) for task in tasks}
    return {
        task: [(a["completed_by"], a["result"][0]["value"]["choices"][0]) for a in answers] for task, answers in found.items()
    }


def shown_as_annotators(house, project, tasks):
    """Whom Label Studio's Data Manager names for each of `tasks`."""
    params = {"project": project, "fields": "all", "include": "id,annotators", "page_size": 500}
    listed = house.admin.request("GET", "/api/tasks", params=params)["tasks"]
    return {task["id"]: tuple(task["annotators"]) for task in listed if task["id"] in tasks}


def stored(tasks, *answer):
    """What `choices` gives where each of `tasks` has this one answer, or none."""
    return {task: [answer] if answer else [] for task in tasks}


def test_a_group_is_labelled_and_taken_back_by_keyboard_alone(chromium, house, annotator, token, project, truth):
    right, wrong = choose(house, project, truth, "ants")
    labeller, me = Labeller(chromium, house, project, token), annotator.number
    codes = labeller.open()
    assert set(codes) == {*right, *wrong}
    keyboard = labeller.page.keyboard
    for task in (*wrong, right[0], right[0]):  # the last one is taken out by mistake, and in again
        keyboard.type(codes[task])
    assert labeller.out() == set(wrong)
    keyboard.press("1")  # the class may be guessed already
    assert labeller.page.get_by_role("button", name=f"Label {SIZE - 2} as ants").is_visible()
    keyboard.press("Enter")
    labeller.hears(f"{SIZE - 2} images labelled ants")
    assert choices(house, [*right, *wrong]) == stored(right, me, "ants") | stored(wrong)
    keyboard.press("u")
    labeller.hears(f"Taken back: {SIZE - 2} images")
    assert choices(house, [*right, *wrong]) == stored([*right, *wrong])
    codes = labeller.group()
    for task in wrong:
        keyboard.type(codes[task])
    keyboard.press("1")
    keyboard.press("Enter")
    labeller.hears(f"{SIZE - 2} images labelled ants")
    assert choices(house, right) == stored(right, me, "ants")
    assert shown_as_annotators(house, project, right) == dict.fromkeys(right, (me,))
    assert labeller.complaints == []
    wait_until(lambda: set(right) <= set(house.version(project, house.live(project)).tasks.tolist()), 120, "they are learned")


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_a_group_is_labelled_by_mouse_and_by_touch(chromium, house, annotator, token, project, truth, viewport, scheme):
    right, wrong = choose(house, project, truth, "bees", odd=1)
    labeller = Labeller(chromium, house, project, token, viewport=viewport, scheme=scheme)
    labeller.open()
    found = Axe().run(labeller.page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
    assert labeller.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    labeller.page.get_by_alt_text(f"Task {wrong[0]}", exact=True).click()
    assert labeller.out() == set(wrong)
    labeller.page.get_by_label("Class").select_option("bees")
    labeller.page.get_by_role("button", name=f"Label {SIZE - 1} as bees").click()
    labeller.hears(f"{SIZE - 1} images labelled bees")
    assert choices(house, right) == stored(right, annotator.number, "bees")
    assert labeller.complaints == []


def test_labels_of_a_group_look_as_those_of_label_studios_own_editor(chromium, house, annotator, token, project, truth):
    right, _ = choose(house, project, truth, "ants", odd=0)
    labeller = Labeller(chromium, house, project, token)
    labeller.open()
    labeller.page.get_by_label("Class").select_option("ants")
    labeller.page.get_by_role("button", name="Label ").click()
    labeller.hears("images labelled ants")
    editor = Editor(chromium, house, annotator, project, CLASSES)
    task = editor.task["id"]
    if not editor.ticked:
        editor.press("ants")
    editor.submit()
    (theirs,), (ours,) = house.admin.annotations(task), house.admin.annotations(right[0])
    assert theirs.keys() == ours.keys()
    assert theirs["result"][0].keys() - {"score"} == ours["result"][0].keys()  # the score is that of a pre-annotation
