"""The page Accept: what it says of checks and of what may be accepted, and that nothing is done without a second press."""

import re

import numpy as np
import pytest

from backend.labelstudio.accepted import Mark
from backend.learning.promise import Population
from backend.records.wishes import ACCEPT, TAKE_BACK, VALIDATE, Wishes
from tests.backend.jobs.made_up import CLASSES, add_tasks

MARK = Mark("al-1-0a0b0c", 0.05)


@pytest.fixture
def path(session):
    """The page's address."""
    return f"/projects/{session.project}/accept"


@pytest.fixture
def wishes(session):
    """What was wished for."""
    return Wishes(session.documents)


@pytest.fixture
def frozen(session, label_studio):
    """A frozen head that is sure of 300 images, the first 90 of which people were asked about."""
    add_tasks(label_studio, session, 300)
    rows = [row.task for row in session.index.rows() if row.state == "unlabelled"][-300:]
    tasks = np.array(rows, np.int64)
    population = Population(tasks, tasks % 2, np.full(len(tasks), 0.999, np.float32))
    found = session.validation.freeze(session.state.live, session.target.as_dict(), 0.05, population)
    return session.validation.ask(found, 90)


def answer(label_studio, session, count):
    for task in session.validation.asked()[:count].tolist():
        label_studio.label(task, CLASSES[task % 2])
    session.sync()


def said(page):
    return re.sub(r"<[^>]+>|\s+", " ", page)


def test_at_first_it_offers_to_ask_for_checks(browser, path, wishes, session, redis):
    assert "Asking freezes the version that the queue follows" in browser.get(path)
    browser.send(path, act="validate", n="150", error="0.02")
    (wish,) = wishes.waiting()
    assert {"act": VALIDATE, "n": 150, "error": 0.02, "anew": False}.items() <= wish.items()
    assert "1 thing asked for here is being done" in browser.last
    assert any(f"accept-{session.project}-" in key.decode() for key in redis.keys("*"))


@pytest.mark.usefixtures("frozen")
def test_it_says_how_many_are_checked_and_how_many_more_would_allow_what(browser, path, label_studio, session):
    answer(label_studio, session, 7)
    page = said(browser.get(path))
    assert "7 of 90 images are checked" in page
    assert re.search(r"5 % +About [\d,]+ more checks would allow \d+ images: they are asked for already", page)


@pytest.mark.usefixtures("frozen")
def test_what_may_be_accepted_is_accepted_only_once_that_is_confirmed(browser, path, label_studio, session, wishes):
    answer(label_studio, session, 90)
    page = said(browser.get(path))
    assert re.search(r"210 images may be accepted: at most 5 % of them are labelled wrongly, with 95 % confidence", page)
    browser.send(path, act="accept", error="0.05", form="annotations")
    assert not wishes.waiting()
    assert "They become annotations in Label Studio" in said(browser.last)
    browser.send(path, act="accept", error="0.05", form="annotations", confirmed="yes")
    (wish,) = wishes.waiting()
    assert {"act": ACCEPT, "error": 0.05, "form": "annotations"}.items() <= wish.items()


@pytest.mark.usefixtures("frozen")
def test_what_may_not_be_accepted_is_refused(browser, path, wishes):
    browser.get(path)
    assert browser.send(path, act="accept", error="0.01", form="annotations").status_code == 409
    assert not wishes.waiting()


def test_taking_back_is_confirmed_too(browser, path, session, wishes):
    task = next(row.task for row in session.index.rows() if row.state == "unlabelled")
    session.index.accepted.set_predicted({task: ("ants", MARK)})
    assert "1 image. A few of them are asked about" in said(browser.get(path))
    browser.send(path, act="take_back")
    assert "All 1 accepted labels are deleted." in said(browser.last)
    assert not wishes.waiting()
    browser.send(path, act="take_back", confirmed="yes")
    assert [wish["act"] for wish in wishes.waiting()] == [TAKE_BACK]


def test_what_came_of_it_is_told(browser, path, wishes):
    wishes.add(TAKE_BACK)
    wishes.settle(wishes.waiting()[0], "Nothing is accepted: there is nothing to take back.", refused=False)
    assert "there is nothing to take back" in browser.get(path)


@pytest.mark.parametrize(
    "form",
    [
        {"act": "validate", "n": "0", "error": "0.02"},
        {"act": "validate", "n": "-5", "error": "0.02"},
        {"act": "validate", "n": "99999", "error": "0.02"},
        {"act": "validate", "n": "50", "error": "0.9"},
        {"act": "accept", "error": "0.02", "form": "votes", "confirmed": "yes"},
        {"act": "elsewhere"},
    ],
)
def test_an_odd_form_does_nothing(browser, path, wishes, form):
    browser.get(path)
    assert browser.send(path, **form).status_code == 400
    assert not wishes.waiting()


def test_several_classes_an_image_are_refused_in_words(browser, path, session):
    with session.edit() as state:
        state.target = state.target | {"several": True}
    assert "only labels of one class an image can be accepted" in browser.get(path)
