"""The page of doubts: what is shown of a label that is likely wrong, asking again, and keeping it."""

import re

import pytest

from backend.records.doubts import Doubt, Found, Right, write_found
from tests.label_studio_in_memory.serving import Person

OWNER, BEN = 1, 2
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def path(session):
    """The page's address."""
    return f"/projects/{session.project}/doubts"


@pytest.fixture
def ben(label_studio):
    """Somebody else in the project."""
    label_studio.people["ben.s.token"] = Person(BEN, "ben@example.org")


def labelled(session):
    """The first labelled row."""
    return next(row for row in session.index.rows() if row.label)


def put_in_doubt(session, *rows, learned=0):
    """Let the live version doubt these."""
    others = {"ants": "bees", "bees": "ants"}
    doubts = [Doubt(row.task, row.label, 0.031, others[row.label], 0.952) for row in rows]
    write_found(session.documents, session.state.live, Found(doubts, 4, learned))


def entry(page, task):
    """What the page says of a task."""
    (part,) = [part for part in page.split("<li>") if f'/images/{task}"' in part]
    return part


def disagree(label_studio, session, settle=False):
    """Have two people say different things of an open task, and where `settle` a third side with Ben; returns it."""
    task = next(row.task for row in session.index.rows() if row.state == "unlabelled")
    label_studio.label(task, "ants", completed_by=OWNER)
    label_studio.label(task, "bees", completed_by=BEN)
    if settle:
        label_studio.label(task, "bees", completed_by=3)
    session.sync()
    return task


def test_a_doubtful_label_is_shown_with_who_gave_it_and_what_it_looks_like(browser, session, path):
    row = labelled(session)
    put_in_doubt(session, row)
    said = re.sub(r"<[^>]+>|\s+", " ", entry(browser.get(path), row.task))
    other = {"ants": "bees", "bees": "ants"}[row.label]
    assert re.search(rf"Labelled +{row.label} +\( *3 % *\), looks like +{other} +\( *95 % *\)", said)
    assert f"owner@example.com: {row.label}" in said


def test_it_opens_in_label_studio(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    assert f'href="{label_studio.url}/projects/{session.project}/data?task={row.task}"' in entry(browser.get(path), row.task)


@pytest.mark.usefixtures("ben")
def test_asking_again_wants_one_person_more_in_the_name_of_who_asks(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    browser.get(path)
    answer = browser.send(path, task=str(row.task), act="again")
    assert (label_studio.tasks[row.task]["overlap"], label_studio._is_labelled(row.task)) == (2, False)
    assert f"One person more is asked about task {row.task}" in answer.text
    assert "Ask again" not in entry(answer.text, row.task)
    session.sync()
    assert "Ask again" not in entry(browser.get(path), row.task)


@pytest.mark.usefixtures("ben")
def test_asking_twice_asks_one_person(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    browser.get(path)
    browser.send(path, task=str(row.task), act="again")
    session.sync()
    browser.send(path, task=str(row.task), act="again")
    assert label_studio.tasks[row.task]["overlap"] == 2


def test_where_nobody_else_is_there_the_page_says_so_and_offers_no_asking(browser, session, path):
    row = labelled(session)
    put_in_doubt(session, row)
    said = entry(browser.get(path), row.task)
    assert "Nobody else is in Label Studio to ask" in said
    assert "Ask again" not in said


def test_a_label_found_right_is_in_doubt_no_more_while_it_stays(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    browser.get(path)
    page = browser.send(path, task=str(row.task), act="right", label=row.label).text
    assert "None of 4 labels is in doubt" in page
    given = next(a for a in label_studio.annotations.values() if a["task"] == row.task)
    del label_studio.annotations[given["id"]]
    other = {"ants": "bees", "bees": "ants"}[row.label]
    label_studio.label(row.task, other)
    session.sync()
    put_in_doubt(session, session.index.row(row.task))
    assert entry(browser.get(path), row.task)


def test_a_label_that_has_changed_since_is_not_said_to_be_right(browser, session, path):
    row = labelled(session)
    put_in_doubt(session, row)
    browser.get(path)
    assert browser.send(path, task=str(row.task), act="right", label="wasps").status_code == 409
    assert Right(session.documents).labels() == {}


def test_a_label_changed_in_label_studio_is_in_doubt_no_more(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    for annotation in label_studio.annotations.values():
        if annotation["task"] == row.task:
            annotation["result"][0]["value"]["choices"] = [{"ants": "bees", "bees": "ants"}[row.label]]
    session.index.clear()
    session.sync()
    assert "None of 4 labels is in doubt" in browser.get(path)


def test_ground_truth_is_never_in_doubt(browser, session, label_studio, path):
    row = labelled(session)
    put_in_doubt(session, row)
    next(a for a in label_studio.annotations.values() if a["task"] == row.task)["ground_truth"] = True
    session.index.clear()
    session.sync()
    assert "None of 4 labels is in doubt" in browser.get(path)


@pytest.mark.usefixtures("ben")
def test_a_tie_is_shown_with_what_each_says_and_cannot_be_right(browser, session, label_studio, path):
    task = disagree(label_studio, session)
    said = entry(browser.get(path), task)
    assert "owner@example.com: ants" in said
    assert "ben@example.org: bees" in said
    assert "A tie" in said
    assert "It is right" not in said
    assert "Nobody else is in Label Studio to ask" in said


@pytest.mark.usefixtures("ben")
def test_a_majority_can_be_found_right(browser, session, label_studio, path):
    task = disagree(label_studio, session, settle=True)
    assert "Counts as <strong>bees</strong>" in entry(browser.get(path), task)
    page = browser.send(path, task=str(task), act="right", label="bees").text
    assert "Nothing, as far as images have answers by several people" in page


@pytest.mark.usefixtures("ben")
def test_a_label_says_how_sure_it_is_once_answers_are_weighed(browser, session, label_studio, path):
    task = disagree(label_studio, session, settle=True)
    assert "sure" not in entry(browser.get(path), task)
    session.index.answers.weigh({}, {task: 0.87})
    assert "Counts as <strong>bees</strong>, 87 % sure" in entry(browser.get(path), task)


def test_what_the_network_was_retrained_on_is_told(browser, session, path):
    put_in_doubt(session, labelled(session), learned=3)
    assert "retrained on 3 of these labels" in browser.get(path)


def test_while_a_new_version_is_looked_through_the_page_shows_what_the_last_one_doubts(browser, session, path):
    row = labelled(session)
    put_in_doubt(session, row)
    with session.edit() as state:
        state.live = "v9-that-is-new"
    assert "Labelled" in entry(browser.get(path), row.task)
    new = session.versions.folder / "v9-that-is-new"
    new.mkdir()
    (new / "version.json").write_text("{}")
    write_found(session.documents, new.name, Found([], 4, 0))
    assert "None of 4 labels is in doubt" in browser.get(path)


def test_before_the_first_version_and_before_the_job_the_page_says_what_comes(browser, session, path):
    assert "some seconds after each round" in browser.get(path)
    write_found(session.documents, session.state.live, Found([], 0, 0))
    assert "this takes 20 of them" in browser.get(path)
    with session.edit() as state:
        state.live = ""
    assert "before the first version" in browser.get(path)


@pytest.mark.parametrize("task", ["", "x", "-1", "99999", "1" * 30])
def test_a_task_that_is_not_there_is_not_asked_about(browser, path, task):
    browser.get(path)
    assert browser.send(path, task=task, act="again").status_code == 404


def test_names_are_shown_as_text(browser, session, label_studio, path):
    label_studio.people["in.memory.token"] = Person(OWNER, EVIL)
    put_in_doubt(session, labelled(session))
    page = browser.get(path)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page


def test_nobody_asks_without_a_login_or_from_another_site(open_browser, browser, session, label_studio, path):
    row = labelled(session)
    assert "Personal access token" in open_browser().send(path, task=str(row.task), act="again").text
    browser.get(path)
    answer = browser.http.post(path, data={"task": str(row.task), "act": "again", "csrf": "wrong"})
    assert answer.status_code == 403
    assert label_studio.tasks[row.task]["overlap"] == 1
