"""What the page Accept looks like once people have checked some of thousands of images, which are made up."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.learning.promise import Population
from tests.backend.jobs.made_up import CLASSES, add_tasks
from tests.backend.pages.conftest import browser, open_browser, session  # noqa: F401  fixtures
from tests.e2e.person import DESK
from tests.e2e.test_pictures import keep

pytestmark = pytest.mark.soak
IMAGES, CHECKS, ERROR, SURE = 3000, 240, 0.02, 0.998


@pytest.fixture
def checked(session, label_studio):  # noqa: F811
    """The address of Accept where people have answered all checks, and found the frozen head right but for one image."""
    label_studio.projects[session.project]["title"] = "Insects"
    tasks = np.array(add_tasks(label_studio, session, IMAGES), np.int64)
    sure = Population(tasks, tasks % 2, np.full(len(tasks), SURE, np.float32))
    frozen = session.validation.freeze(session.state.live, session.target.as_dict(), ERROR, sure)
    session.validation.ask(frozen, CHECKS)
    for number, task in enumerate(session.validation.asked().tolist()):
        label_studio.label(task, CLASSES[(task + (number == 7)) % 2])
    session.sync()
    return f"/projects/{session.project}/accept"


def test_the_page_accept_has_its_picture(chromium, browser, checked, tmp_path):  # noqa: F811
    page = chromium.new_context(viewport=DESK).new_page()

    def answer(route):
        got = browser.http.get(route.request.url)
        route.fulfill(status=got.status_code, headers=dict(got.headers), body=got.content)

    page.route("http://server/**", answer)
    page.goto(f"http://server{checked}")
    assert f"{CHECKS} of {CHECKS} images are checked" in page.locator("main").inner_text()
    assert page.get_by_role("button", name="Accept").count() > 0
    assert page.evaluate("scrollY") == 0
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
    path = tmp_path / "accept.png"
    page.screenshot(path=path)
    keep(path, path.name)
