"""Tasks that came or went without a change that tells of it are found by counting, not by listing all ids."""

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio import client
from backend.labelstudio.pages import PAGE
from backend.project.session import Session
from tests.label_studio_in_memory import TOKEN

TASKS = 5 * PAGE


@pytest.fixture
def session(label_studio, make_settings):
    """A project of several pages, read once."""
    project = label_studio.add_project(label_config(["A", "B"]), [f"/{n}.jpg" for n in range(TASKS)])
    for task in label_studio.tasks.values():
        task["updated_at"] = "2026-01-01T00:00:00Z"  # long enough ago that nothing is read twice
    with Session(make_settings(label_studio_url=label_studio.url, label_studio_api_key=TOKEN), project) as session:
        session.sync()
        label_studio.requests.clear()
        yield session


def known(session):
    """The ids of all tasks in the index."""
    return session.index.tasks.arrays().tasks.tolist()


@pytest.mark.parametrize("gone", [[0], [TASKS - 1], [1234], [7, 1234, 2000], range(600, 1900), range(TASKS)], ids=str)
def test_deleted_tasks_are_forgotten_wherever_they_were(session, label_studio, gone):
    tasks = label_studio.task_ids(session.project)
    for task in [tasks[number] for number in gone]:
        label_studio._delete_task(None, task)
    session.sync()
    assert known(session) == label_studio.task_ids(session.project)


def test_few_tasks_are_listed_to_find_one_that_was_deleted(session, label_studio):
    label_studio._delete_task(None, label_studio.task_ids(session.project)[1234])
    session.sync()
    pages = [r for r in label_studio.requests if r.path == "/api/tasks" and r.query["page_size"] == str(PAGE)]
    assert len(pages) == 2  # what has changed, and the range that has one less


def test_a_label_on_another_task_counts_where_one_was_deleted(session, label_studio):
    first, second = label_studio.task_ids(session.project)[1000:1002]
    label_studio.label(first, "A")
    label_studio._delete_task(None, second)
    session.sync()
    assert session.index.row(first).label == "A"
    assert session.index.row(second) is None


def test_tasks_that_the_index_has_lost_are_read_again(session, label_studio):
    tasks = label_studio.task_ids(session.project)
    session.index.forget([*tasks[600:1300], tasks[2000]])
    session.sync()
    assert known(session) == tasks


def test_a_task_that_cannot_be_listed_stays_known(session, label_studio, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    tasks = label_studio.task_ids(session.project)
    label_studio.tasks[tasks[1000]]["data"]["note"] = "\ud800"
    label_studio._delete_task(None, tasks[1001])
    session.sync()
    assert known(session) == label_studio.task_ids(session.project)
    assert [problem.tasks for problem in session.index.problems()] == [(tasks[1000],)]
