"""The index follows Label Studio: changes where that is enough, every task where it must."""

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from backend.bench.label_studio import label_config
from backend.index import index
from backend.index.moments import newest_change
from backend.labelstudio import client
from backend.project.session import Session
from tests.label_studio_in_memory import TOKEN

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def session(label_studio, make_settings):
    """A project of 12 images, opened."""
    project = label_studio.add_project(label_config(["A", "B"]), [f"/{n}.jpg" for n in range(12)])
    with Session(make_settings(label_studio_url=label_studio.url, label_studio_api_key=TOKEN), project) as session:
        yield session


def test_the_first_sync_takes_in_every_task_and_the_next_one_changes(session, label_studio):
    session.sync()
    label_studio.label(label_studio.task_ids(session.project)[3], "B")
    session.sync()
    assert [row.label for row in session.index.rows()].count("B") == 1


def test_tasks_deleted_in_label_studio_are_forgotten(session, label_studio):
    session.sync()
    label_studio._delete_task(None, label_studio.task_ids(session.project)[0])
    session.sync()
    assert session.index.count() == 11


def import_at(label_studio, seconds_ago):
    """Let all tasks have been imported so long ago, at one moment."""
    for task in label_studio.tasks.values():
        task["updated_at"] = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def read_by(session):
    """How many tasks the next sync reads."""
    told = []
    session.progress = lambda _, done, __: told.append(done)
    session.sync()
    return told[-1]


def test_tasks_imported_together_are_not_read_again_each_time(session, label_studio):
    import_at(label_studio, seconds_ago=300)
    assert [read_by(session), read_by(session)] == [12, 0]
    label_studio.label(label_studio.task_ids(session.project)[3], "B")
    assert read_by(session) == 1
    assert session.index.counts()["labelled"] == 1


@pytest.mark.parametrize("ahead", [300, 0], ids=["a Label Studio whose clock is ahead", "the same clock"])
def test_what_was_imported_just_now_is_read_again_since_some_of_it_may_appear_later(session, label_studio, ahead):
    label_studio.clock_off = ahead
    import_at(label_studio, seconds_ago=20)
    session.sync()
    late = label_studio.task_ids(session.project)[3]
    label_studio.label(late, "B")
    label_studio.tasks[late]["updated_at"] = (datetime.now(UTC) - timedelta(seconds=40)).isoformat()
    assert read_by(session) == 12
    assert session.index.counts()["labelled"] == 1


def test_a_label_given_while_tasks_are_read_is_not_lost(session, label_studio, monkeypatch):
    import_at(label_studio, seconds_ago=300)
    first, *_, last = label_studio.task_ids(session.project)
    whole = session.label_studio.tasks

    def slow(*arguments):
        (page,) = list(whole(*arguments))
        yield page[:-1]
        label_studio.label(first, "A")  # is on the page that was read
        label_studio.label(last, "B")
        label_studio.tasks[last]["updated_at"] = (datetime.now(UTC) + timedelta(seconds=120)).isoformat()
        yield session.label_studio.tasks_named(session.project, [last])

    monkeypatch.setattr(session.label_studio, "tasks", slow)
    session.sync()
    monkeypatch.setattr(session.label_studio, "tasks", whole)
    session.sync()
    assert [row.label for row in session.index.rows() if row.label] == ["A", "B"]


@pytest.mark.parametrize(
    "odd",
    [
        {"data": None},
        {"data": ["/a.jpg"]},
        {"data": {"image": {"url": "/a.jpg"}}},
        {"updated_at": "9999-12-31T23:59:59.999999Z"},
        {"updated_at": "0001-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_an_odd_task_costs_itself_alone(session, label_studio, odd):
    first, second = label_studio.task_ids(session.project)[:2]
    label_studio.tasks[first] |= odd
    session.sync()
    label_studio.label(second, "A")
    session.sync()
    assert session.index.count() == 12
    assert next(row.label for row in session.index.rows() if row.task == second) == "A"


def test_odd_annotations_cost_their_task_alone_and_are_counted(session, label_studio):
    tasks = label_studio.task_ids(session.project)
    results = ["A", {}, 3, ["x"], [None], [{"from_name": "choice", "type": "choices", "value": None}]]
    for task, result in zip(tasks, results, strict=False):
        label_studio._annotate(task, {"result": result})
    label_studio.label(tasks[-1], "A")
    session.sync()
    assert session.index.counts() == {
        "unlabelled": 5,
        "labelled": 1,
        "skipped": 0,
        "unusable": 6,
        "accepted": 0,
        "unreadable": 0,
    }
    assert sum(problem.count for problem in session.index.problems()) == 6


def test_each_reason_is_logged_once_however_many_tasks_it_is_about(session, label_studio, caplog):
    for task in label_studio.task_ids(session.project):
        label_studio.label(task, "Catfish")
    with caplog.at_level(logging.WARNING):
        session.sync()
    assert len([record for record in caplog.records if "'Catfish'" in record.message]) == 1


def test_a_renamed_class_counts_again_with_its_old_name_as_alias(session, label_studio):
    label_studio.label(label_studio.task_ids(session.project)[0], "A")
    project = label_studio.projects[session.project]
    project["label_config"] = label_config(["Apple", "B"])
    session.sync()
    assert session.index.counts()["labelled"] == 0
    project["label_config"] = project["label_config"].replace('value="Apple"', 'value="Apple" alias="A"')
    session.sync()
    assert session.index.counts()["labelled"] == 1


def test_a_damaged_index_is_read_from_label_studio_again_within_the_same_sync(session):
    session.sync()
    path = session.projects.folder(session.project) / "index.sqlite"
    path.replace(path.with_name("elsewhere"))
    session.sync()
    assert session.index.count() == 12


def test_the_named_control_is_the_one_that_is_learned(session, label_studio):
    second = '<Choices name="quality" toName="image"><Choice value="ok"/><Choice value="blurry"/></Choices></View>'
    project = label_studio.projects[session.project]
    project["label_config"] = project["label_config"].replace("</View>", second)
    with session.edit() as state:
        state.control = "quality"
    session.sync()
    assert session.target.classes == ("ok", "blurry")


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([], "2026-01-01T00:00:00Z"),
        (["2026-01-02T00:00:00Z", "2026-01-01T12:00:00Z"], "2026-01-02T00:00:00Z"),
        (["2026-01-02T00:00:00"], "2026-01-02T00:00:00"),
        (["2026-01-02T01:00:00+05:00"], "2026-01-02T01:00:00+05:00"),
        (["9999-12-31T23:59:59Z", "2026-01-02T00:00:00Z"], "2026-01-02T00:00:00Z"),
        ([None, 3, "never", [], {}, "2025-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00"], "2026-01-01T00:00:00Z"),
    ],
)
def test_how_far_a_sync_got_is_the_latest_possible_moment(moments, expected):
    tasks = [{"updated_at": moment} for moment in moments]
    assert newest_change([*tasks, None, {}], "2026-01-01T00:00:00Z", NOW) == expected


def test_a_clock_that_is_a_little_ahead_is_believed():
    ahead = (NOW + timedelta(minutes=10)).isoformat()
    assert newest_change([{"updated_at": ahead}], "", NOW) == ahead


@pytest.mark.parametrize("damaged", ["yesterday", "9", "0001-01-01T00:00:00Z"])
def test_a_damaged_mark_means_reading_everything(damaged):
    assert newest_change([], damaged, NOW) == ""


def test_a_task_that_label_studio_cannot_list_is_known_and_named_until_it_can(session, label_studio, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    bad = label_studio.task_ids(session.project)[7]
    label_studio.tasks[bad]["data"]["note"] = "\ud800"
    session.sync()
    assert session.index.count() == 12
    assert [(problem.kind, problem.tasks) for problem in session.index.problems()] == [("task", (bad,))]
    session.sync()
    del label_studio.tasks[bad]["data"]["note"]
    now = time.time()
    monkeypatch.setattr(index.time, "time", lambda: now + index.RETRY_SECONDS + 1)
    session.sync()
    assert session.index.problems() == []
    assert session.index.counts()["unlabelled"] == 12
