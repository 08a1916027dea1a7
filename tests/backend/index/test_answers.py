"""Who said what: every annotation is kept with its annotator, and half-labelled tasks are told from labelled ones."""

import sqlite3
from contextlib import closing

import pytest

from backend.index.index import LABELLED, Index
from tests.backend.project.made_up import TARGET, annotation, task


@pytest.fixture
def index(tmp_path):
    """An empty index."""
    with closing(Index(tmp_path / "index.sqlite")) as index:
        yield index


def said(index, number=1):
    """Who said what of a task."""
    return [(answer.person, answer.choice) for answer in index.answers.of(number)]


def test_every_annotation_is_kept_with_who_made_it(index):
    index.update([task(1, annotation("A", completed_by=3), annotation("B", completed_by={"id": 4}))], TARGET)
    assert said(index) == [(3, "A"), (4, "B")]


def test_when_it_was_made_and_how_long_it_took_is_kept(index):
    index.update([task(1, annotation("A", completed_by=3, created_at="2026-11-26T08:30:00Z", lead_time=2.5))], TARGET)
    (answer,) = index.answers.all()
    assert (answer.made, answer.seconds) == ("2026-11-26T08:30:00Z", 2.5)


def test_labels_are_counted_once_a_task(index):
    both = [annotation("A", completed_by=3), annotation("A", completed_by=4)]
    index.update([task(1, *both), task(2, annotation("B")), task(3, annotation("A")), task(4)], TARGET)
    assert sorted(index.tasks.label_counts()) == [("A", 2), ("B", 1)]


def test_the_pace_is_the_median_of_what_labels_took(index):
    times = [annotation("A", lead_time=2.0), annotation("B", lead_time=900), annotation("A", lead_time=3.5)]
    times += [annotation("A"), annotation("A", lead_time=0), annotation(was_cancelled=True, lead_time=70)]
    assert index.answers.pace() is None
    index.update([task(1, *times)], TARGET)
    assert index.answers.pace() == 3.5


def test_the_pace_is_that_of_the_last_labels(index, monkeypatch):
    monkeypatch.setattr("backend.index.answers.LAST", 2)
    for number, seconds in enumerate([9, 9, 9, 1, 1], 1):
        index.update([task(number, annotation("A", lead_time=seconds))], TARGET)
    assert index.answers.pace() == 1


def test_skips_and_ground_truth_are_told_from_other_answers(index):
    index.update([task(1, annotation(was_cancelled=True), annotation("A", ground_truth=True), annotation("B"))], TARGET)
    assert [(a.skipped, a.truth, a.choice) for a in index.answers.all()] == [
        (True, False, None),
        (False, True, "A"),
        (False, False, "B"),
    ]


def test_an_answer_that_cannot_be_used_has_no_class(index):
    index.update([task(1, annotation("wasps", completed_by=3))], TARGET)
    assert said(index) == [(3, None)]


def test_a_changed_or_deleted_annotation_takes_the_old_ones_place(index):
    index.update([task(1, annotation("A", completed_by=3), annotation("B", completed_by=4))], TARGET)
    index.update([task(1, annotation("C", completed_by=4))], TARGET)
    assert said(index) == [(4, "C")]


def test_what_was_said_of_tasks_that_are_gone_is_forgotten(index):
    index.update([task(1, annotation("A")), task(2, annotation("B"))], TARGET)
    index.keep_only([2])
    assert [answer.task for answer in index.answers.all()] == [2]


@pytest.mark.parametrize(
    "odd", [[1], [None], ["x"], [{"completed_by": "me", "lead_time": "long", "created_at": 3}], {"a": 1}, 7]
)
def test_odd_annotations_cost_themselves_alone(index, odd):
    index.update([{"id": 1, "data": {}, "annotations": odd}, task(2, annotation("A", completed_by=3))], TARGET)
    assert said(index, 2) == [(3, "A")]


def test_a_task_that_is_listed_twice_is_kept_once(index):
    index.update([task(1, annotation("A", completed_by=3)), task(1, annotation("B", completed_by=3))], TARGET)
    assert said(index) == [(3, "B")]


def test_a_task_of_which_more_people_are_wanted_is_half_labelled_and_still_teaches(index):
    one = annotation("A", completed_by=3)
    index.update(
        [
            task(1, one) | {"overlap": 2, "is_labeled": False},
            task(2, one) | {"overlap": 1, "is_labeled": True},
            task(3) | {"overlap": 2, "is_labeled": False},
            task(4, annotation(was_cancelled=True)) | {"overlap": 2, "is_labeled": False},
        ],
        TARGET,
    )
    assert index.answers.half_labelled() == [1]
    assert {row.task for row in index.rows() if row.state == LABELLED} == {1, 2}
    assert index.answers.wanted(1) == (1, 2, True)
    assert index.answers.half_labelled(more_than=2) == []


def test_tasks_with_answers_that_differ_are_told(index):
    index.update(
        [
            task(1, annotation("A", completed_by=3), annotation("B", completed_by=4)),
            task(2, annotation("A", completed_by=3), annotation("A", completed_by=4), annotation(was_cancelled=True)),
            task(3, annotation("A", completed_by=3), annotation("wasps", completed_by=4)),
        ],
        TARGET,
    )
    assert index.answers.disputed() == [1]


def test_an_index_from_before_answers_were_kept_is_read_anew(tmp_path):
    path = tmp_path / "index.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript("CREATE TABLE tasks (task INTEGER PRIMARY KEY); PRAGMA user_version = 2")
    with closing(Index(path)) as index:
        assert index.count() == 0
        index.update([task(1, annotation("A", completed_by=3))], TARGET)
        assert said(index) == [(3, "A")]
