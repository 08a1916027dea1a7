"""Sending images to the head of the queue from the pages."""

import re

import pytest

from backend.queue.work import Work
from backend.records.ahead import Ahead
from backend.status.text import render
from backend.status.values import status
from tests.backend.jobs.made_up import run_round
from tests.backend.pages.pictures import shown
from tests.backend.pages.test_queue import entry


def path(session, page):
    return f"/projects/{session.project}/{page}"


def kept(session):
    return Ahead(session.documents)


def test_ticked_images_of_more_like_this_are_sent_by_whom_it_was(browser, session):
    task = shown(browser.get(path(session, "queue")))[0]
    found = shown(browser.get(path(session, f"find?task={task}")))[1:]
    answer = browser.send(path(session, "ahead"), act="send", **{f"task:{found[2]}": "on", f"task:{found[4]}": "on"})
    assert answer.url.path == path(session, "queue")
    assert kept(session).tasks().tolist() == [found[2], found[4]]
    assert "2 images on the way" in answer.text


def test_the_queue_says_who_sent_an_image_once_it_is_at_the_head(browser, session):
    *_, last = shown(browser.get(path(session, "queue")))
    kept(session).send([last], "ann@example.org")
    run_round_with_head(session)
    page = browser.get(path(session, "queue"))
    assert shown(page)[0] == last
    assert "Sent by ann@example.org" in entry(page, last)
    assert "on the way" not in page


def run_round_with_head(session):
    """A queue that begins with what was sent, as a round or a reconcile would publish it."""
    version = run_round(session)
    sent = session.ahead.tasks()
    session.index.published.add(version, sent, (sent - sent.min() + 1) * 1e-6, sent < 0)


def test_names_of_people_are_shown_as_text(browser, session):
    *_, last = shown(browser.get(path(session, "queue")))
    kept(session).send([last], "<script>alert(1)</script>")
    assert "<script>alert" not in browser.get(path(session, "queue"))


def test_an_image_is_let_go_by_its_button(browser, session):
    first, second, *_ = shown(browser.get(path(session, "queue")))
    kept(session).send([first, second], "ann")
    page = browser.get(path(session, "queue"))
    assert re.search(f'aria-label="Let task {first} go"', page)
    browser.send(path(session, "ahead"), act="let_go", tasks=str(first))
    assert kept(session).tasks().tolist() == [second]


def test_a_labelled_image_or_one_of_nowhere_is_not_sent(browser, session):
    labelled = next(row.task for row in session.index.rows() if row.state == "labelled")
    browser.get(path(session, "queue"))
    browser.get(path(session, f"find?task={labelled}"))
    answer = browser.send(path(session, "ahead"), act="send", tasks=f"{labelled},999999,x,²,-1,")
    assert answer.status_code == 400
    assert "No image without a label was chosen" in answer.text
    assert kept(session).tasks().tolist() == []


def test_more_than_the_head_takes_is_refused_with_the_number(browser, session):
    task, *_ = shown(browser.get(path(session, "queue")))
    kept(session).send(range(10_000, 10_500), "ann")
    browser.get(path(session, f"find?task={task}"))
    answer = browser.send(path(session, "ahead"), act="send", tasks=str(task))
    assert (answer.status_code, "takes 500 images" in answer.text) == (400, True)


@pytest.mark.parametrize("sent", [{}, {"tasks": "1"}])
def test_without_the_forms_own_token_nothing_is_sent(browser, session, sent):
    assert browser.http.post(path(session, "ahead"), data=sent).status_code == 403


def test_all_are_let_go_by_one_button(browser, session):
    first, second, *_ = shown(browser.get(path(session, "queue")))
    kept(session).send([first, second], "ann")
    assert "2 images were sent to the head" in browser.get(path(session, "queue"))
    browser.send(path(session, "ahead"), act="let_all_go")
    assert kept(session).tasks().tolist() == []


def test_overview_and_status_say_how_many_wait_at_the_head(browser, session, redis):
    first, second, *_ = shown(browser.get(path(session, "queue")))
    labelled = next(row.task for row in session.index.rows() if row.state == "labelled")
    assert "sent to the head" not in browser.get(f"/projects/{session.project}")
    kept(session).send([first, second, labelled], "ann")
    assert "2 of them sent to the head by people" in browser.get(f"/projects/{session.project}")
    found = status(session.settings, Work(redis, 10))
    assert found["projects"][0]["ahead"] == 2
    assert "images left in order, 2 of them sent to the head by people; " in render(found)
