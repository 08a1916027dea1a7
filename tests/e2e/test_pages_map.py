"""The map in a real browser, on a real Label Studio: WebGL draws it, and what is chosen on it by mouse or keyboard is next."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from backend.bench.label_studio import name_of
from tests.backend.pages.map.test_page import points
from tests.e2e.conftest import Annotator, first, wait_until
from tests.e2e.person import DESK, PHONE, Person
from tests.e2e.test_pages import CLASSES

pytestmark = pytest.mark.soak

IMAGES = 60
STEP, FAR = 12, 60  # pixels of an arrow key, and with Shift
NEAR = 14  # pixels from an image to the lasso around it
DRAWN_PIXELS = """() => {
  const canvas = document.querySelector("#plot canvas.gl-canvas-context"), gl = canvas.getContext("webgl");
  if (!gl) return 0;
  const pixels = new Uint8Array(4 * canvas.width * canvas.height);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  return pixels.filter((value, number) => number % 4 === 3 && value > 0).length;
}"""

COLOURS = """async ([names, labels]) => {
  const { colouring } = await import("/static/map_points.js");
  const { kinds } = colouring({ names, labels, images: labels.length }, "labels");
  return Object.fromEntries(kinds.map(({ name, colour }) => [name, colour]));
}"""


class Reader:
    """Gets what the page's script gets."""

    def __init__(self, person, project):
        self.http, self.project, self._person = self, project, person

    def get(self, path):
        answer = self._person.page.request.get(self._person.url + path)
        self.headers, self.content = answer.headers, answer.body()
        return self


class Map:
    """The map of a project before somebody's eyes."""

    def __init__(self, chromium, house, project, viewport=DESK, scheme="light"):
        self.person = Person(chromium, house, viewport, scheme)
        self.page, self.project = self.person.page, project
        self.person.open(f"/projects/{project}/map")
        self.page.locator("#plot[data-drawn]").wait_for()
        self.known = points(reader := Reader(self.person, project), reader)

    def open_tasks(self):
        """Tasks without a label, in the order of the map."""
        return self.known["tasks"][self.known["open"] == 1].astype(int).tolist()

    def where(self, task):
        """Where on the page an image is, in pixels."""
        number = self.known["tasks"].tolist().index(task)
        (left, right), (low, high) = self.page.evaluate(
            "(({xaxis, yaxis}) => [xaxis.range, yaxis.range])(document.getElementById('plot').layout)"
        )
        self.page.locator("#plot").scroll_into_view_if_needed()
        box = self.page.locator("#plot").bounding_box()
        across = (float(self.known["x"][number]) - left) / (right - left)
        return box["x"] + across * box["width"], box["y"] + (high - float(self.known["y"][number])) / (high - low) * box[
            "height"
        ]

    def lasso(self, task):
        """Draw a lasso around one image; returns the tasks that are chosen by it."""
        self.page.get_by_label("lasso").check()
        x, y = self.where(task)
        corners = [(x - NEAR, y - NEAR), (x + NEAR, y - NEAR), (x + NEAR, y + NEAR), (x - NEAR, y + NEAR), (x - NEAR, y - NEAR)]
        self.page.mouse.move(*corners[0])
        self.page.mouse.down()
        for corner in corners[1:]:
            self.page.mouse.move(*corner, steps=6)
        self.page.mouse.up()
        wait_until(lambda: task in self.chosen(), 10, f"task {task} among the chosen")
        return self.chosen()

    def chosen(self):
        """The tasks that are chosen, once there are some."""
        field = self.page.locator("#chosen [name=tasks]")
        return [int(task) for task in wait_until(field.input_value, 10, "chosen images").split(",")]

    def heading(self, name):
        self.page.get_by_role("heading", name=name, exact=True).wait_for()


@pytest.fixture(scope="module")
def project(house, insects, chromium):
    """A connected project whose map somebody has had drawn."""
    project = house.project("Map", first(insects, 0, IMAGES), CLASSES)
    house.cli("connect", "--project", str(project))
    wait_until(lambda: house.live(project), 120, "the first version")
    person = Person(chromium, house)
    person.open(f"/projects/{project}/map")
    person.page.get_by_role("button", name="Draw the map").click()
    person.page.locator("#plot").wait_for(timeout=120_000)  # it is shown by itself
    return project


def next_is_one_of(house, project, tasks):
    """Wait until Label Studio serves one of `tasks` next, and then the others."""
    live = house.live(project)
    wait_until(lambda: set(house.queue(project, live)[: len(tasks)]) == set(tasks), 60, "the chosen images at the head")
    assert Annotator(house.admin).next(project)["id"] in tasks


@pytest.fixture(scope="module")
def drawn(chromium, house, project):
    """The map on a desk, for those who only look at it."""
    return Map(chromium, house, project)


def test_webgl_draws_every_image(drawn):
    assert drawn.page.locator("#plot").get_attribute("data-drawn") == str(IMAGES)
    assert drawn.page.evaluate(DRAWN_PIXELS) > 5 * IMAGES
    assert "WebGL is not supported" not in drawn.page.locator("main").inner_text()
    assert drawn.person.complaints == []


def test_the_map_hides_nothing_from_a_screen_reader(drawn):
    assert faults(drawn) == []


def test_the_map_fits_a_phone_in_the_dark(chromium, house, project):
    on_a_phone = Map(chromium, house, project, PHONE, "dark")
    assert on_a_phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert on_a_phone.page.evaluate(DRAWN_PIXELS) > 5 * IMAGES
    assert faults(on_a_phone) == []


def faults(drawn):
    """What axe finds that is serious, and what the browser has complained about, such as a refusal of the policy."""
    found = Axe().run(drawn.page).response["violations"]
    return [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] + drawn.person.complaints


def test_a_class_keeps_its_colour_from_round_to_round(drawn):
    names = ["ants", "bees", "wasps"]
    first, later = (drawn.page.evaluate(COLOURS, [names, labels]) for labels in ([0, 0, 2, -1], [1, 2, 2, 2, 0]))
    assert len(set(later.values())) == len(later) == 4  # of three classes, and of no label
    assert first == {name: later[name] for name in first}
    assert first.keys() == {"ants", "wasps", "no label"}


def test_an_image_is_shown_under_the_mouse(drawn):
    task = drawn.open_tasks()[0]
    x, y = drawn.where(task)
    drawn.page.mouse.move(x - 40, y)
    drawn.page.mouse.move(x, y, steps=4)
    drawn.page.locator("#card").wait_for()
    shown = int(drawn.page.locator("#card img").get_attribute("src").rpartition("/")[2])
    assert np.hypot(*np.subtract(drawn.where(shown), (x, y))) < NEAR
    assert f"Task {shown}: no label" in drawn.page.locator("#card").inner_text()


def test_dragging_moves_the_map(drawn):
    task = drawn.open_tasks()[0]
    x, y = drawn.where(task)
    drawn.page.mouse.move(x, y)
    drawn.page.mouse.down()
    drawn.page.mouse.move(x + 70, y - 30, steps=5)
    drawn.page.mouse.up()
    wait_until(lambda: np.allclose(drawn.where(task), (x + 70, y - 30), atol=2), 10, "the map at its new place")


def test_what_a_lasso_takes_is_next_in_label_studio(chromium, house, project):
    drawn = Map(chromium, house, project)
    last = house.queue(project, house.live(project))[-1]
    chosen = drawn.lasso(last)
    assert len(chosen) < IMAGES / 2
    drawn.page.keyboard.down("Shift")
    another = next(task for task in drawn.open_tasks() if task not in chosen)
    assert set(drawn.lasso(another)) > {*chosen}
    drawn.page.keyboard.up("Shift")
    chosen = drawn.chosen()
    drawn.page.get_by_role("button", name="Send to the head of the queue").click()
    drawn.heading("Queue")
    next_is_one_of(house, project, chosen)
    assert "Sent by" in drawn.person.open(f"/projects/{project}/queue")
    assert drawn.person.complaints == []


def test_an_image_that_somebody_sends_finds_itself_in_the_pool(chromium, house, project, insects):
    person, waiting = Person(chromium, house), house.open_tasks(project)
    sent = next(task for page in house.admin.tasks(project) for task in page if task["id"] in waiting)
    person.open(f"/projects/{project}/find")
    person.page.get_by_label("An image of yours").set_input_files(insects[name_of(sent)][1])
    person.page.get_by_role("button", name="Find images like it").click()
    person.page.get_by_role("heading", name="More like the image that you sent").wait_for(timeout=60_000)
    first_found = person.page.locator("main .pictures img").first.get_attribute("src")
    assert first_found.endswith(f"/images/{sent['id']}")
    assert person.complaints == []


def test_by_keyboard_alone_images_are_chosen_and_sent(chromium, house, project):
    drawn = Map(chromium, house, project)
    last = house.queue(project, house.live(project))[-1]
    press, box = drawn.page.keyboard.press, drawn.page.locator("#plot").bounding_box()
    for _ in range(60):
        press("Tab")
        if drawn.page.evaluate("document.activeElement.id") == "cross":
            break
    x, y = drawn.where(last)
    middle = (box["x"] + box["width"] / 2, drawn.page.locator("#plot").bounding_box()["y"] + box["height"] / 2)
    for distance, (back, on) in zip((x - middle[0], y - middle[1]), (("Left", "Right"), ("Up", "Down")), strict=True):
        key = f"Arrow{on if distance > 0 else back}"
        for _ in range(int(abs(distance) // FAR)):
            press(f"Shift+{key}")
        for _ in range(round(abs(distance) % FAR / STEP)):
            press(key)
    press("-")  # a circle of 20 pixels: the image is at most half a step from its middle
    press("Enter")
    chosen = drawn.chosen()
    assert last in chosen
    for _ in range(60):
        press("Tab")
        if drawn.page.evaluate("document.activeElement.innerText") == "Send to the head of the queue":
            break
    press("Enter")
    drawn.heading("Queue")
    live = house.live(project)
    wait_until(lambda: last in house.queue(project, live)[: IMAGES // 2], 60, "the chosen image near the head")
    assert drawn.person.complaints == []


def test_a_colours_images_are_chosen_by_its_button_and_shown_as_pictures(chromium, house, project):
    drawn = Map(chromium, house, project)
    drawn.page.get_by_label("Colour by").select_option("places")
    drawn.page.get_by_role("button", name="the next 24: 24").click()
    assert drawn.chosen() == sorted(house.queue(project, house.live(project))[:24])
    drawn.page.get_by_role("button", name="Show as pictures").click()
    drawn.heading("Chosen on the map")
    assert drawn.page.locator("main .pictures img").count() == 24


def test_chosen_images_can_be_labelled_together(chromium, house, project):
    drawn = Map(chromium, house, project)
    drawn.page.get_by_role("button", name="no label: 60").click()
    drawn.chosen()
    drawn.page.get_by_role("button", name="Label together").click()
    drawn.heading("Label groups")
    assert "hosen by" in drawn.page.locator("main").inner_text()
