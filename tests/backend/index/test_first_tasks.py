"""A large project that is new here: its first tasks do for a queue, and leave what comes after them as it would have been."""

import numpy as np
import pytest

from backend.bench.label_studio import label_config
from backend.index import first_tasks
from backend.labelstudio.client import LabelStudioError
from backend.learning.random_sample import random_sample
from backend.learning.slots import slot_order
from backend.project.session import Session
from tests.label_studio_in_memory import TOKEN

TASKS, FIRST = 60, 20


@pytest.fixture
def session(label_studio, make_settings, monkeypatch):
    """A project of as many tasks as are many, opened."""
    monkeypatch.setattr(first_tasks, "MANY", TASKS)
    monkeypatch.setattr(first_tasks, "TOGETHER", 8)
    project = label_studio.add_project(label_config(["A", "B"]), [f"/{n}.jpg" for n in range(TASKS)])
    with Session(make_settings(label_studio_url=label_studio.url, label_studio_api_key=TOKEN), project) as session:
        yield session


def in_order(label_studio, session):
    """The project's tasks in the order of random slots."""
    tasks = np.array(label_studio.task_ids(session.project))
    return tasks[slot_order(tasks)].tolist()


def known(session):
    """Ids of the tasks in the index."""
    return {row.task for row in session.index.rows()}


def test_they_are_those_that_a_list_of_all_puts_first_and_the_newest(session, label_studio):
    expected = {*in_order(label_studio, session)[:FIRST], max(label_studio.task_ids(session.project))}
    assert session.sync(first=FIRST) is False
    assert known(session) == expected


def test_they_are_found_among_the_tasks_of_other_projects(session, label_studio):
    label_studio.add_project(label_config(["A", "B"]), ["/x.jpg"] * 200)
    images = [{"image": f"/late-{n}.jpg"} for n in range(TASKS)]
    label_studio.client().request("POST", f"/api/projects/{session.project}/import", json=images)
    assert session.sync(first=FIRST) is False
    found = known(session) - {max(label_studio.task_ids(session.project))}
    order = in_order(label_studio, session)
    assert 10 < len(found) < 40
    assert found == set(order[: len(found)]) - {max(order)}


def test_the_next_sync_of_all_tasks_reads_all(session):
    session.sync(first=FIRST)
    assert session.sync() is True
    assert session.index.count() == TASKS
    assert session.sync(first=FIRST) is True


def draw(session):
    """The random sample of what the index holds, by task: drawn, and weight."""
    rows = session.index.rows()
    tasks, labelled = np.array([row.task for row in rows]), np.array([row.state == "labelled" for row in rows])
    sample = session.sample.draw(tasks, labelled, np.zeros(len(rows), bool), share=0.5)
    return tasks, labelled, sample


def test_a_random_sample_that_begins_with_them_is_what_it_would_have_been(session, label_studio):
    session.sync(first=FIRST)
    draw(session)
    order = in_order(label_studio, session)
    for task in [*order[:6], *order[12:16]]:
        label_studio.label(task, "A")
    session.sync(first=FIRST)
    _, labelled, sample = draw(session)
    assert labelled.sum() == 10
    assert sample.drawn.sum() == 5
    session.sync()
    tasks, labelled, sample = draw(session)
    fresh = random_sample(tasks, labelled, np.zeros(len(tasks), bool), 0.5)
    assert sample.drawn.tolist() == fresh.drawn.tolist()
    assert sample.weights.tolist() == fresh.weights.tolist()
    assert sample.turns.tolist() == fresh.turns.tolist()


def test_labels_that_they_get_are_read_with_them(session, label_studio):
    session.sync(first=FIRST)
    label_studio.label(in_order(label_studio, session)[0], "B")
    assert session.sync(first=FIRST) is False
    assert session.index.counts()["labelled"] == 1


def label_one(session, label_studio):
    label_studio.label(label_studio.task_ids(session.project)[0], "A")


def delete_one(session, label_studio):
    label_studio._delete_task(None, label_studio.task_ids(session.project)[0])


def scatter(session, label_studio):
    label_studio.add_project(label_config(["A", "B"]), ["/x.jpg"] * TASKS * 12)
    label_studio.client().request("POST", f"/api/projects/{session.project}/import", json=[{"image": "/late.jpg"}])


def lose_the_index(session, _):
    session.sync(first=FIRST)
    with session.edit() as state:
        state.live = "al-1-abcdef"
    session.index.clear()


@pytest.mark.parametrize("change", [label_one, delete_one, scatter, lose_the_index])
def test_all_are_read_at_once_where_there_are_labels_few_tasks_far_between_or_a_version(session, label_studio, change):
    change(session, label_studio)
    assert session.sync(first=FIRST) is True
    assert known(session) == set(label_studio.task_ids(session.project))


def test_a_sync_that_breaks_off_is_made_up_for_by_the_next(session, label_studio):
    client = session.label_studio
    ask, asked = client.tasks_named, []

    def ask_once(*arguments):
        asked.append(arguments)
        if len(asked) > 1:
            raise LabelStudioError("gone", 403)
        return ask(*arguments)

    client.tasks_named = ask_once
    with pytest.raises(LabelStudioError):
        session.sync(first=FIRST)
    assert known(session)
    client.tasks_named = ask
    label_one(session, label_studio)
    assert session.sync(first=FIRST) is True
    assert session.index.counts()["labelled"] == 1
    assert session.index.count() == TASKS
