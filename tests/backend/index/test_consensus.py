"""Annotations -> one label a task, or the reason why there is none."""

import pytest

from backend.index.consensus import LABELLED, SKIPPED, UNLABELLED, UNUSABLE, consensus
from tests.backend.project.made_up import TARGET, annotation


def item(value, **more):
    """An annotation with one region of that value."""
    return {"result": [{"from_name": "choice", "to_name": "image", "type": "choices", "value": value} | more]}


@pytest.mark.parametrize(
    ("annotations", "state", "label"),
    [
        ([], UNLABELLED, None),
        ([annotation("A")], LABELLED, "A"),
        ([annotation("A"), annotation("B"), annotation("B")], LABELLED, "B"),
        ([annotation("A"), annotation("B")], UNUSABLE, None),
        ([annotation("A", ground_truth=True), annotation("B"), annotation("B")], LABELLED, "A"),
        ([annotation(was_cancelled=True)], SKIPPED, None),
        ([annotation(was_cancelled=True), annotation("C")], LABELLED, "C"),
        ([annotation()], UNUSABLE, None),
        ([annotation("D")], UNUSABLE, None),
    ],
    ids=["none", "one", "majority", "tie", "ground truth", "skip", "skip and label", "empty", "unknown class"],
)
def test_annotations_agree_on_a_label_or_on_none(annotations, state, label):
    found = consensus(annotations, TARGET)
    assert (found.state, found.label) == (state, label)


@pytest.mark.parametrize(
    ("annotation", "trouble"),
    [
        (item("A"), "malformed"),
        (item(None), "malformed"),
        (item(["A"]), "malformed"),
        (item({}), "malformed"),
        (item({"choices": None}), "malformed"),
        (item({"choices": {"A": 1}}), "malformed"),
        (item({"choices": [["A", "B"]]}), "malformed"),
        (item({"choices": [True]}), "malformed"),
        ({"result": "A"}, "malformed"),
        ({"result": ["x"]}, "malformed"),
        ("A", "malformed"),
        (None, "malformed"),
        ([], "malformed"),
        (item({"choices": []}), "empty"),
        ({"result": None}, "empty"),
        ({}, "empty"),
        (item({"choices": ["A"]}, from_name="other"), "elsewhere"),
        (item({"choices": ["A"]}, from_name=["choice"]), "empty"),
        (item({"choices": ["A", "B"]}), "several"),
        (item({"choices": ["\ud800"]}), "class"),
        (item({"choices": 3}), "class"),
        (item({"choices": ["x" * 1_000_000]}), "class"),
    ],
)
def test_an_answer_that_cannot_be_used_has_the_true_reason(annotation, trouble):
    found = consensus([annotation], TARGET)
    assert (found.state, found.trouble) == (UNUSABLE, trouble)
    assert 0 < len(found.remark.encode()) < 500


@pytest.mark.parametrize("given", ["A", ["A"], ["A", "A"]])
def test_one_class_is_an_answer_however_it_is_written(given):
    assert consensus([item({"choices": given})], TARGET).label == "A"


def test_an_answer_that_does_not_say_its_type_counts():
    assert consensus([{"result": [{"from_name": "choice", "value": {"choices": ["A"]}}]}], TARGET).label == "A"


def test_a_tie_says_so():
    assert consensus([annotation("A"), annotation("B")], TARGET).trouble == "tie"


def test_an_odd_annotation_beside_a_good_one_costs_itself_alone():
    assert consensus([None, item(None), annotation("A")], TARGET).label == "A"


@pytest.mark.parametrize("flag", [True, 1, "true", "1"])
def test_a_flag_is_set_however_it_is_written(flag):
    assert consensus([annotation("A", was_cancelled=flag)], TARGET).state == SKIPPED


@pytest.mark.parametrize("flag", [False, 0, None, "false", "", [], {}, float("nan")])
def test_a_flag_is_not_set_by_odd_values(flag):
    assert consensus([annotation("A", was_cancelled=flag)], TARGET).state == LABELLED


@pytest.mark.parametrize("annotations", [None, {}, "", 0, False])
def test_no_annotations_however_they_are_written(annotations):
    assert consensus(annotations, TARGET).state == UNLABELLED


@pytest.mark.parametrize("annotations", ["A", 3, {"result": 3}, [None], [[]]])
def test_annotations_that_are_none_take_the_task_out(annotations):
    assert consensus(annotations, TARGET).state == UNUSABLE
