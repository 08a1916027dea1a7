"""What the pages look like, on desk and phone, light and dark, with a project of drawn shapes; and what axe says of them.

`make pictures` keeps those that the docs show (AL_PICTURES names the folder for them, in this repository); all others lie in
pytest's folder.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from backend.bench import label_studio as ls
from backend.pages.visit import TABS
from backend.queue.work import Work
from backend.records.map import has_map
from backend.records.state import Projects
from backend.simulate.folder import images_by_class
from tests.conftest import ROOT
from tests.e2e.conftest import Annotator, second_plugin, wait_until
from tests.e2e.editor import Editor
from tests.e2e.person import DESK, PHONE, Person
from tools.samples import CLASSES, draw_samples

pytestmark = pytest.mark.soak
EACH = 80  # shapes of a class
LABELS, AT_ONCE = 120, 12  # and how many of them between two looks at the version
EXPLORE = "0.5"
SLOTS = 20  # one after the other, at most
LOOKS = [(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")]
SHOWN = {"progress", "queue", "groups", "map", "doubts", "people"}  # in the docs, light and on a desk
COLOURS = 128  # of a kept picture, so that it is small


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """Drawn images under names that give nothing away."""
    folder = tmp_path_factory.mktemp("shapes")
    draw_samples(folder, lambda *_: None)
    return ls.anonymous_names({name: paths[:EACH] for name, paths in images_by_class(folder).items()})


@pytest.fixture(scope="module")
def explorer(house, tmp_path_factory):
    """A plugin with so many random slots that F1 can be told after few labels."""
    with second_plugin(house, tmp_path_factory.mktemp("explorer"), EXPLORE=EXPLORE) as plugin:
        yield plugin


@pytest.fixture(scope="module")
def people(house):
    """Two who label."""
    return [Annotator(house.admin), Annotator(house.admin)]


@pytest.fixture(scope="module")
def project(explorer, shapes, people):
    """A project that people have labelled for a while, as people are: a few images both of them, and not always alike."""
    project = explorer.project("Shapes", shapes, list(CLASSES))
    explorer.admin.patch_project(project, title="Shapes")
    explorer.cli("connect", "--project", str(project))
    for number in range(LABELS):
        person, other = people if number % 2 else reversed(people)
        task = person.next(project)
        truth = shapes[ls.name_of(task)][0]
        wrong = CLASSES[(CLASSES.index(truth) + 1) % len(CLASSES)]
        person.label(task, wrong if number % 17 == 16 else truth)
        if number % 6 == 5:
            other.label(task, wrong if number % 4 == 3 else truth)
        if number % AT_ONCE == AT_ONCE - 1:
            before = explorer.live(project)
            wait_until(lambda old=before: explorer.live(project) != old, 300, "a version that has learned them")
    Work(explorer.redis, AT_ONCE).wake("map", project)
    wait_until(lambda: has_map(Projects(explorer.settings.data_dir).documents(project)), 300, "the map")
    return project


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all pictures lie."""
    return tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize(("viewport", "scheme"), LOOKS, ids=lambda look: look if isinstance(look, str) else f"{look['width']}")
@pytest.mark.parametrize("tab", [path for path, _ in TABS])
def test_a_page_is_for_everybody_and_has_its_picture(chromium, explorer, project, folder, tab, viewport, scheme):
    person = Person(chromium, explorer, viewport, scheme)
    person.open(f"/projects/{project}/{tab}".rstrip("/"))
    person.page.wait_for_load_state("networkidle")
    if tab == "map":
        person.page.locator("#plot[data-drawn]").wait_for()
    found = Axe().run(person.page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert person.complaints == []
    path = folder / f"{tab or 'overview'}-{viewport['width']}-{scheme}.png"
    person.page.screenshot(path=path)
    assert len(set(Image.open(path).convert("RGB").resize((64, 64)).getdata())) > 4  # something is there
    if tab in SHOWN and (viewport, scheme) == LOOKS[0]:
        keep(path, f"{tab}.png")


def test_label_studio_shows_the_guess(chromium, house, project, folder, shapes, people):
    editor = Editor(chromium, house, people[0], project, list(CLASSES))
    for _ in range(SLOTS):
        if editor.ticked:
            break
        editor.press(shapes[ls.name_of(editor.task)][0])  # a random slot, or one about which people disagree: without a guess
        editor.submit()
    assert editor.ticked
    path = folder / "labelling.png"
    editor.page.set_viewport_size({"width": 1280, "height": 760})
    editor.page.wait_for_timeout(1000)
    editor.page.screenshot(path=path)
    keep(path, path.name)


def keep(path: Path, name: str) -> None:
    """Keep a picture for the docs, where one asks for that."""
    if kept := os.environ.get("AL_PICTURES"):
        Image.open(path).convert("RGB").quantize(COLOURS).save(ROOT / kept / name, optimize=True)
