"""Annotations -> one label a task, and an index that can be thrown away."""

import sqlite3

import pytest

from backend.labelstudio.labelling_config import parse_label_config
from backend.project.index import LABELLED, SKIPPED, UNLABELLED, UNUSABLE, Index, consensus
from tools.label_studio import label_config

TARGET = parse_label_config(label_config(["A", "B", "C"]))


def annotation(choice=None, **values):
    """An annotation as Label Studio lists it."""
    result = [] if choice is None else [{"from_name": "choice", "type": "choices", "value": {"choices": [choice]}}]
    return {"result": result, "was_cancelled": False, "ground_truth": False} | values


def task(number, *annotations, image="/a.jpg"):
    """A task as Label Studio lists it."""
    return {"id": number, "data": {"image": image}, "annotations": list(annotations)}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ([], (UNLABELLED, None)),
        ([annotation("A")], (LABELLED, "A")),
        ([annotation("A"), annotation("B"), annotation("B")], (LABELLED, "B")),
        ([annotation("A"), annotation("B")], (UNUSABLE, None)),
        ([annotation("A", ground_truth=True), annotation("B"), annotation("B")], (LABELLED, "A")),
        ([annotation(was_cancelled=True)], (SKIPPED, None)),
        ([annotation(was_cancelled=True), annotation("C")], (LABELLED, "C")),
        ([annotation()], (UNUSABLE, None)),
        ([annotation("D")], (UNUSABLE, None)),
    ],
    ids=["none", "one", "majority", "tie", "ground truth", "skip", "skip and label", "empty", "unknown class"],
)
def test_annotations_agree_on_a_label_or_on_none(annotations, expected):
    assert consensus(annotations, TARGET) == expected


def test_a_changed_annotation_changes_the_label(tmp_path):
    index = Index(tmp_path / "i")
    index.update([task(1, annotation("A"))], TARGET)
    index.update([task(1, annotation("B"))], TARGET)
    assert [row.label for row in index.rows()] == ["B"]


def test_tasks_that_are_gone_are_forgotten(tmp_path):
    index = Index(tmp_path / "i")
    index.update([task(1), task(2), task(3)], TARGET)
    index.keep_only([2])
    assert [row.task for row in index.rows()] == [2]


def test_a_new_image_of_a_task_gets_a_new_key_and_another_try(tmp_path):
    index = Index(tmp_path / "i")
    index.update([task(1)], TARGET)
    before = index.rows()[0].key
    index.set_errors({1: "broken"})
    assert index.due() == set()
    index.update([task(1, image="/b.jpg")], TARGET)
    assert index.rows()[0].key != before
    assert index.due() == {1}


def test_an_unreadable_image_is_counted_and_not_tried_again_at_once(tmp_path):
    index = Index(tmp_path / "i")
    index.update([task(1), task(2)], TARGET)
    index.set_errors({1: "not an image"})
    assert index.counts()["unreadable"] == 1
    assert index.due() == {2}


def test_a_broken_file_is_replaced(tmp_path):
    (tmp_path / "i").write_bytes(b"this is no database, not even a little" * 100)
    index = Index(tmp_path / "i")
    index.update([task(1)], TARGET)
    assert index.count() == 1


def test_a_file_of_another_version_is_replaced(tmp_path):
    old = sqlite3.connect(tmp_path / "i")
    old.executescript("CREATE TABLE tasks (something TEXT); PRAGMA user_version = 99")
    old.close()
    index = Index(tmp_path / "i")
    index.update([task(1)], TARGET)
    assert index.count() == 1
