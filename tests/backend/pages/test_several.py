"""What the pages say of a project in which an image may be of several classes: sets where there are sets, else why not."""

import re

import pytest

from backend.records.doubts import Doubt, Found, write_found
from backend.records.groups import Group, Groups
from tests.backend.jobs.made_up import label_some, run_round
from tests.backend.pages.pictures import shown

CONFIG = """<View><Image name="image" value="$image"/><Choices name="choice" toName="image" choice="multiple">
    <Choice value="ants"/><Choice value="bees"/></Choices></View>"""
BOTH = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["ants", "bees"]}}


@pytest.fixture
def several(session, label_studio):
    """The project, asking for several choices, with some images of one class, one of both and one of none."""
    client = label_studio.client()
    client.patch_project(session.project, label_config=CONFIG)
    session.sync()
    first, second, *_ = (row.task for row in session.index.rows() if row.state == "unlabelled")
    client.request("POST", f"/api/tasks/{first}/annotations/", json={"result": [BOTH]})
    client.request("POST", f"/api/tasks/{second}/annotations/", json={"result": []})
    label_some(label_studio, session, 2)
    live = run_round(session)
    with session.edit() as state:
        state.live = state.followed = live
    return session


def test_the_queue_shows_the_sets_that_are_ticked(browser, several):
    page = browser.get(f"/projects/{several.project}/queue")
    assert len(shown(page)) == 4
    assert re.search(r"<strong>(ants, bees|ants|bees|none of these)</strong>, (over )?\d+ %", page)


def test_progress_is_by_class_and_says_why_there_is_no_confusion_matrix(browser, several):
    page = browser.get(f"/projects/{several.project}/progress")
    assert "An image may be of several classes here" in page
    assert "Confusion matrix" not in page
    labels = {name: int(number) for name, number in re.findall(r'class="name">(\w+)</th><td>(\d+)</td>', page)}
    given = [label for row in several.index.rows() if (label := row.label)]
    assert labels == {name: sum(f'"{name}"' in label for label in given) for name in ("ants", "bees")}
    assert sum(labels.values()) >= 4


def test_groups_say_that_images_are_labelled_one_by_one_here(browser, several):
    tasks = tuple(row.task for row in several.index.rows() if row.state == "unlabelled")
    Groups(several.documents).write(several.state.live, [Group("g", tasks, "ants", (), "alike")])
    page = browser.get(f"/projects/{several.project}/groups")
    assert "label them one by one" in page
    assert "<form" not in page.partition("<main")[2] or 'id="group"' not in page


def test_a_set_in_doubt_is_told_as_people_read_it(browser, several):
    task = next(row.task for row in several.index.rows() if row.label == '["ants", "bees"]')
    found = Found([Doubt(task, '["ants", "bees"]', 0.1, "[]", 0.9)], 30, 0)
    write_found(several.documents, several.state.live, found)
    page = browser.get(f"/projects/{several.project}/doubts")
    assert "Labelled <strong>ants, bees</strong>" in page
    assert "looks like <strong>none of these</strong>" in page


@pytest.mark.parametrize("page", ["", "/versions", "/jobs", "/people", "/map", "/find"])
def test_every_other_page_is_there(browser, several, page):
    browser.get(f"/projects/{several.project}{page}")
    assert "Traceback" not in browser.last
    assert "Internal Server Error" not in browser.last
