"""The pages in a real browser, on a real Label Studio: what people see, and that a roll-back there moves the queue."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.bench.label_studio import name_of
from backend.pages.visit import TABS
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.person import DESK, PHONE, Person

CLASSES = ["ants", "bees"]
IMAGES = 60
PAGES = ("", "/progress", "/queue", "/accept", "/versions", "/jobs")


@pytest.fixture(scope="module")
def project(house, insects):
    """A connected project with two versions."""
    project = house.project("Pages", first(insects, 0, IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    before, annotator = house.live(project), Annotator(house.admin)
    for _ in range(12):
        task = annotator.next(project)
        annotator.label(task, insects[name_of(task)][0])
    wait_until(lambda: house.live(project) != before, 120, "a version that has learned the labels")
    return project


@pytest.mark.parametrize(("viewport", "scheme"), [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_no_page_hides_anything_from_a_screen_reader_or_a_phone(chromium, house, project, viewport, scheme):
    person = Person(chromium, house, viewport, scheme)
    for path in ("/", *(f"/projects/{project}{page}" for page in PAGES)):
        person.open(path)
        found = Axe().run(person.page).response["violations"]
        assert [f"{path}: {fault['id']}" for fault in found if fault["impact"] in ("serious", "critical")] == []
        assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert person.complaints == []  # such as what the content security policy has refused


def test_on_a_phone_the_tabs_stay_in_one_row_and_the_current_one_in_sight(chromium, house, project):
    person = Person(chromium, house, PHONE)
    person.open(f"/projects/{project}/jobs")
    tabs = [tab.bounding_box() for tab in person.page.locator("nav li").all()]
    assert len(tabs) == len(TABS)
    assert len({tab["y"] for tab in tabs}) == 1
    current = person.page.locator("nav [aria-current]").bounding_box()
    assert 0 <= current["x"] <= current["x"] + current["width"] <= PHONE["width"]
    assert person.page.evaluate("scrollY") == 0


def test_a_projects_card_leads_to_what_is_known_of_it(chromium, house, project):
    person = Person(chromium, house)
    title = house.admin.project(project)["title"]
    assert title in person.open("/")
    person.page.get_by_role("link", name=title).click()
    person.page.get_by_role("heading", name="Overview").wait_for()
    assert house.live(project) in person.page.locator("main").inner_text()


def test_the_queue_is_seen_as_pictures_and_leads_to_images_like_one_of_them(chromium, house, project):
    person = Person(chromium, house)
    person.open(f"/projects/{project}/queue")
    assert _pictures(person.page) > 0
    person.page.get_by_role("link", name="More like task").first.click()
    person.page.get_by_role("heading", name="More like task").wait_for()
    assert _pictures(person.page) > 1
    assert person.complaints == []


def _pictures(page):
    """How many pictures a page shows, once all of them are there."""
    images = page.locator("main .pictures > li img").all()
    for image in images:
        image.scroll_into_view_if_needed()
        wait_until(lambda shown=image: shown.evaluate("image => image.complete && image.naturalWidth > 0"), 30, "a picture")
    return len(images)


def test_everything_can_be_reached_by_keyboard(chromium, house, project):
    person = Person(chromium, house)
    person.open(f"/projects/{project}")
    reached = []
    for _ in range(20):
        person.page.keyboard.press("Tab")
        reached.append(person.page.evaluate("document.activeElement.innerText"))
    assert {"To the content", "Log out", "Versions", "Jobs"} <= set(reached)


def test_a_roll_back_on_the_page_moves_label_studios_queue(chromium, house, project):
    person, newest = Person(chromium, house), house.live(project)
    person.open(f"/projects/{project}/versions")
    button = person.page.get_by_role("button", name="Let the queue follow").first
    older = (button.get_attribute("aria-label") or "").split()[-1]
    assert older != newest
    button.click()
    person.page.get_by_role("heading", name="Jobs").wait_for()
    wait_until(lambda: house.live(project) == older, 60, "the older version")
    open_tasks = house.open_tasks(project)
    expected = next(task for task in house.queue(project, older) if task in open_tasks)
    assert Annotator(house.admin).next(project)["id"] == expected


def test_who_logs_out_sees_nothing_any_more(chromium, house, project):
    person = Person(chromium, house)
    person.page.get_by_role("button", name="Log out").click()
    assert "Personal access token" in person.open(f"/projects/{project}")
