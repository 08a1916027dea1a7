"""The page of people: who labels how much, how far people agree, and who may see whose figures."""

import json
import re

import pytest

from backend.index.weighing import RIGHT
from backend.pages.people.page import _verdict
from model.measuring.agreement import Alpha
from tests.backend.jobs.made_up import CLASSES
from tests.label_studio_in_memory import Fault
from tests.label_studio_in_memory.serving import Person

OWNER, BEN = 1, 2
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def path(session):
    """The page's address."""
    return f"/projects/{session.project}/people"


def label_twice(label_studio, session, agree=3, disagree=1):
    """Have two people label the same images; returns their tasks."""
    label_studio.people["ben.s.token"] = Person(BEN, "ben@example.org")
    tasks = [row.task for row in session.index.rows() if row.state == "unlabelled"][: agree + disagree]
    for number, task in enumerate(tasks):
        choice = CLASSES[task % 2]
        label_studio.label(task, choice, completed_by=OWNER, lead_time=2.0)
        label_studio.label(task, choice if number < agree else CLASSES[1 - task % 2], completed_by=BEN, lead_time=4.0)
    session.sync()
    return tasks


def row_of(page, name):
    """What the table says of a person."""
    (row,) = [part for part in page.split("<tr>") if f">{name}</th>" in part]
    return re.sub(r"<[^>]+>", " ", row)


def test_each_annotators_labels_time_and_agreement_are_told(browser, session, label_studio, path):
    label_twice(label_studio, session)
    page = browser.get(path)
    assert "3 of 4, 75 %" in row_of(page, "ben@example.org")
    assert "4.0 s" in row_of(page, "ben@example.org")
    assert re.search(r"\b8\b", row_of(page, "owner@example.com"))  # four of them before


def test_how_often_each_is_right_is_told_once_answers_are_weighed(browser, session, label_studio, path):
    label_twice(label_studio, session)
    assert "Right" not in browser.get(path)
    session.index.set_note(RIGHT, json.dumps({str(BEN): 0.834}))
    page = browser.get(path)
    assert "83 %" in row_of(page, "ben@example.org")
    assert "not known" in row_of(page, "owner@example.com")


def test_krippendorffs_alpha_is_told_with_its_interval(browser, session, label_studio, path):
    label_twice(label_studio, session)
    assert re.search(r"alpha: <strong>-?\d\.\d\d</strong> \(-?\d\.\d\d to 1\.00, 95 %\) on 4 images", browser.get(path))


def test_few_images_give_no_verdict_and_many_do(browser, session, label_studio, path):
    label_twice(label_studio, session)
    assert "too few images with several answers to tell" in browser.get(path)
    assert _verdict(Alpha(0.9, (0.85, 0.95), 400)).startswith("reliable")
    assert _verdict(Alpha(0.5, (0.4, 0.6), 400)).startswith("too low")
    assert _verdict(Alpha(0.75, (0.7, 0.85), 400)).startswith("enough for first conclusions")


def test_where_nobody_answers_the_same_image_the_page_says_so(browser, path):
    page = browser.get(path)
    assert "cannot be told" in page
    assert "nothing to compare" in page


def test_a_name_is_shown_as_text(browser, session, label_studio, path):
    label_twice(label_studio, session)
    label_studio.people["ben.s.token"] = Person(BEN, EVIL)
    page = browser.get(path)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page


def test_nobody_sees_it_without_a_login(open_browser, path):
    page = open_browser().get(path)
    assert "Personal access token" in page
    assert "example.org" not in page


def test_the_basic_credentials_that_label_studio_sends_open_nothing(open_browser, path):
    answer = open_browser().http.get(path, auth=("studio", "secret"), follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_who_may_not_list_people_in_label_studio_sees_no_figures_but_their_own(browser, session, label_studio, path):
    label_twice(label_studio, session)
    label_studio.faults = [Fault("GET", "/api/users", 403)]
    page = browser.get(path)
    assert "ben@example.org" not in page
    assert f"person {BEN}" not in page
    assert row_of(page, "owner@example.com")
    assert "Figures of 1 other" in page


def test_half_labelled_tasks_are_told(browser, session, label_studio, path):
    label_studio.client().patch_project(session.project, maximum_annotations=2)
    task = next(row.task for row in session.index.rows() if row.state == "unlabelled")
    label_studio.label(task, "ants")
    session.index.clear()
    session.sync()
    assert "5 labelled by fewer people than wanted" in browser.get(path)
    assert "5 labelled by fewer people than wanted" in browser.get(f"/projects/{session.project}")


def test_a_token_that_label_studio_takes_no_more_asks_to_log_in(browser, label_studio, path):
    browser.get(path)
    label_studio.people.clear()
    assert "log in again" in browser.get(path)
