"""The page Map, without a browser: what it offers, what it gives to be drawn, and who may see it."""

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend.jobs.mapping import _draw_map
from backend.pages.map.plotting import PATH
from backend.pages.policy import POLICY, policy
from backend.records.map import FILE
from tests.backend.jobs.made_up import add_tasks, session_on, settings_for

KINDS = {"Float64Array": "<f8", "Float32Array": "<f4", "Int32Array": "<i4", "Int16Array": "<i2", "Uint8Array": "u1"}


def path(session, page=""):
    return f"/projects/{session.project}/map{page}"


@pytest.fixture
def drawn(session):
    """The session's project, with a map."""
    _draw_map(SimpleNamespace(session=session))
    return session


def points(browser, session):
    """What the page's script reads: the header, and its arrays by name."""
    answer = browser.http.get(path(session, "/points"))
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int.from_bytes(answer.content[:4], "little")
    about, at = json.loads(answer.content[4 : 4 + length]), 4 + length
    assert at % 8 == 0
    for name, kind in about["arrays"]:
        about[name] = np.frombuffer(answer.content, KINDS[kind], about["images"], at)
        at += about[name].nbytes
    assert at == len(answer.content)
    return about


def by_task(about, name):
    return dict(zip(about["tasks"].astype(int).tolist(), about[name].tolist(), strict=True))


def slots(session):
    return [row.task for row, _, is_slot in session.index.published.queue(session.state.live, 100) if is_slot]


def test_before_it_is_drawn_the_page_offers_to(browser, session):
    page = browser.get(path(session))
    assert "Draw the map" in page
    assert "plotly" not in page


def test_drawing_it_is_a_job_whose_progress_is_shown(browser, session):
    browser.get(path(session))
    assert "The map waits to be drawn" in browser.send(path(session)).text
    assert "map-" in browser.get(f"/projects/{session.project}/jobs")


def test_before_the_first_version_the_page_says_what_makes_one(browser, session):
    with session.edit() as state:
        state.live = ""
    page = browser.get(path(session))
    assert f"al-backend connect --project {session.project}" in page
    assert "Draw the map" not in page


def test_every_image_is_given_with_its_place_label_and_guess(browser, drawn):
    about = points(browser, drawn)
    rows = {row.task: row for row in drawn.index.rows()}
    assert by_task(about, "x").keys() == rows.keys()
    labels = {task: about["names"][number] if number >= 0 else None for task, number in by_task(about, "labels").items()}
    assert labels == {task: row.label for task, row in rows.items()}
    assert by_task(about, "open") == {task: int(row.state == "unlabelled") for task, row in rows.items()}
    queue = [row.task for row, *_ in drawn.index.published.queue(drawn.state.live, 100)]
    places = by_task(about, "places")
    assert [places[task] for task in queue] == list(range(len(queue)))
    guessed = {task for task, number in by_task(about, "guesses").items() if number >= 0}
    assert guessed == rows.keys() - set(slots(drawn))


def test_of_a_random_slot_neither_guess_nor_certainty_is_given(browser, drawn):
    about = points(browser, drawn)
    assert slots(drawn)
    for task in slots(drawn):
        assert by_task(about, "guesses")[task] == -1
        assert by_task(about, "certainty")[task] == 255


def test_a_label_given_since_is_shown_and_a_deleted_task_is_not(browser, drawn, label_studio):
    first, second, *_ = [row.task for row in drawn.index.rows() if row.state == "unlabelled"]
    label_studio.label(first, "bees")
    drawn.sync()
    drawn.index.keep_only([row.task for row in drawn.index.rows() if row.task != second])
    about = points(browser, drawn)
    assert about["names"][by_task(about, "labels")[first]] == "bees"
    assert second not in by_task(about, "tasks")


def test_new_images_are_not_on_the_map_until_it_is_renewed(browser, drawn, label_studio):
    add_tasks(label_studio, drawn, 2)
    assert points(browser, drawn)["images"] == 12
    _draw_map(SimpleNamespace(session=drawn))
    assert points(browser, drawn)["images"] == 14


def test_this_page_alone_may_make_programs_from_text_and_no_page_scripts_inside_it(browser, drawn):
    def allowed(page):
        return browser.http.get(f"/projects/{drawn.project}{page}").headers["content-security-policy"]

    assert "script-src 'self' 'unsafe-eval';" in allowed("/map")
    assert "style-src 'self' 'unsafe-inline';" in allowed("/map")
    for page in ("", "/queue", "/jobs", "/map/points", "/nothing"):
        assert allowed(page) == policy()
    assert not any("unsafe" in value for value in POLICY.values())
    assert "<script>" not in browser.get(path(drawn))
    assert "style=" not in browser.get(path(drawn))


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_plotly_comes_from_its_wheel(browser, encoding):
    answer = browser.http.get(PATH, headers={"accept-encoding": encoding})
    spec = find_spec("plotly")
    assert answer.content == (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_bytes()
    assert answer.headers.get("content-encoding", "identity") == encoding


def test_without_a_map_there_are_no_points(browser, session):
    assert browser.http.get(path(session, "/points")).status_code == 404


def test_who_is_not_logged_in_gets_no_points(open_browser, drawn):
    answer = open_browser().http.get(path(drawn, "/points"))
    assert answer.url.path == "/login"


def test_a_damaged_map_can_be_drawn_again(browser, drawn):
    (drawn.projects.folder(drawn.project) / FILE).write_bytes(b"no map")
    assert browser.http.get(path(drawn, "/points")).status_code == 404
    assert "Draw the map" in browser.get(path(drawn))


def test_the_chosen_images_are_shown_as_pictures_and_those_without_a_label_are_ticked(browser, drawn):
    labelled = next(row.task for row in drawn.index.rows() if row.state == "labelled")
    unlabelled = next(row.task for row in drawn.index.rows() if row.state == "unlabelled")
    browser.get(path(drawn))
    page = browser.send(path(drawn, "/pictures"), tasks=f"{labelled},{unlabelled},999999").text
    assert f'name="task:{unlabelled}" checked' in page
    assert f'name="task:{labelled}"' not in page
    assert f"/images/{labelled}" in page
    assert "999999" not in page


def test_choosing_nothing_is_told(browser, drawn):
    browser.get(path(drawn))
    answer = browser.send(path(drawn, "/pictures"), tasks="")
    assert (answer.status_code, "No image was chosen" in answer.text) == (400, True)


def test_a_map_of_another_project_is_not_seen(browser, drawn, label_studio, make_settings):
    with session_on(label_studio, settings_for(make_settings), 4) as other:
        assert browser.http.get(path(other, "/points")).status_code == 404
        assert points(browser, drawn)["images"] == 12
