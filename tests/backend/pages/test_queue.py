"""What comes next, as pictures: in which order, what is told of each image, and what is not."""

import json
import re

import numpy as np

from backend.jobs.reconcile import recall_published
from backend.pages.queue import SHOWN
from strategies import REASONS, REGISTRY
from tests.backend.jobs.made_up import add_tasks, run_round
from tests.backend.pages.pictures import place, shown, unit

EVIL = '<script>alert("x")</script>'


def entry(page, task):
    """What the page says of a task of the queue."""
    return next(part for part in page.split("<li>") if f'/images/{task}"' in part.partition("<details>")[0])


def slots(session):
    """The random slots of the queue that are not labelled yet."""
    return [row.task for row, _, is_slot in session.index.published.queue(session.state.live, 100) if is_slot]


def test_the_queue_is_shown_in_the_order_in_which_label_studio_serves_it(browser, session, label_studio):
    order = shown(browser.get(f"/projects/{session.project}/queue"))
    client, served = label_studio.client(), []
    while len(served) < len(order):
        task = client.request("GET", f"/api/projects/{session.project}/next")["id"]
        served.append(task)
        label_studio.label(task, "ants")
    assert order == served
    assert len(order) == 8


def test_what_is_labelled_is_in_the_queue_no_more(browser, session, label_studio):
    path = f"/projects/{session.project}/queue"
    first, *others = shown(browser.get(path))
    label_studio.label(first, "ants")
    session.sync()
    assert shown(browser.get(path)) == others


def test_a_long_queue_is_shown_by_its_head(browser, session, label_studio):
    add_tasks(label_studio, session, 60)
    session.settings = session.settings.model_copy(update={"queue_size": 50})
    run_round(session)
    assert len(shown(browser.get(f"/projects/{session.project}/queue"))) == SHOWN


def test_a_guess_and_its_confidence_are_told(browser, session):
    page = browser.get(f"/projects/{session.project}/queue")
    task = next(task for task in shown(page) if task not in slots(session))
    assert re.search(r"<strong>(ants|bees)</strong>, (over )?\d+ %", entry(page, task))


def test_of_a_random_slot_no_guess_is_told(browser, session):
    page = browser.get(f"/projects/{session.project}/queue")
    assert slots(session)
    for task in slots(session):
        assert "Random slot" in entry(page, task)
        assert "<strong>" not in entry(page, task)
        assert "%" not in entry(page, task)


def test_random_slots_are_still_known_after_the_queue_was_read_from_label_studio(session):
    before = slots(session)
    recall_published(session, session.state.live)
    assert before
    assert slots(session) == before


def test_an_image_between_two_classes_says_between_which(browser, session):
    with session.edit() as state:
        state.strategy = "margin"
    run_round(session)
    task = next(row.task for row, _, is_slot in session.index.published.queue(session.state.live, 8) if not is_slot)
    head = session.versions.load(session.state.live).head
    assert head
    across = head.weights[0] - head.weights[1]
    between = -(head.bias[0] - head.bias[1]) * across / (across @ across)
    place(session, [task], between)
    page = browser.get(f"/projects/{session.project}/queue")
    assert re.search("Uncertain between (ants and bees|bees and ants)", entry(page, task))


def test_a_strategy_that_does_not_ask_the_head_is_not_said_to_be_uncertain(browser, session):
    page = browser.get(f"/projects/{session.project}/queue")
    assert "Drawn at random" in page
    assert "ncertain" not in page


def test_before_there_are_labels_an_image_says_of_how_many_it_is_typical(label_studio, session, browser):
    for number in list(label_studio.annotations):
        del label_studio.annotations[number]
    with session.edit() as state:
        state.strategy = "typiclust"
    session.index.clear()
    run_round(session)
    page = browser.get(f"/projects/{session.project}/queue")
    assert "ypical of about" in page
    assert "<strong>" not in page


def test_near_copies_are_told_and_shown_on_a_click(browser, session):
    tasks = [row.task for row, *_ in session.index.published.queue(session.state.live, 8)]
    spread = np.stack([unit(1.0, *(3.0 * (number == n) for n in range(8))) for number in range(8)])
    first, *_, second, third = tasks
    spread[6], spread[7] = unit(1.0, 3.0, 0.01), unit(1.0, 3.0, 0.02)
    place(session, tasks, spread)
    page = browser.get(f"/projects/{session.project}/queue")
    assert "+2 near-copies" in entry(page, first)
    assert re.findall(r'/images/(\d+)"', entry(page, first).partition("<details>")[2]) == [str(second), str(third)]
    assert "near-cop" not in entry(page, tasks[1])


def test_before_the_first_queue_the_page_says_so(browser, session):
    with session.edit() as state:
        state.live = ""
    assert "the first queue is not there yet" in browser.get(f"/projects/{session.project}/queue")


def test_names_of_classes_are_shown_as_text(browser, session):
    path = session.versions.folder / session.state.live / "version.json"
    about = json.loads(path.read_text())
    about["target"]["classes"] = [EVIL, EVIL]
    path.write_text(json.dumps(about))
    page = browser.get(f"/projects/{session.project}/queue")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_every_strategy_has_a_reason():
    assert REASONS.keys() == REGISTRY.keys()
