"""Accepted labels in the index: known by their mark, nobody's, and found anew in Label Studio."""

import pytest

from backend.index.accepted import sync_accepted
from backend.index.consensus import LABELLED, SKIPPED, UNLABELLED, consensus
from backend.index.index import ACCEPTED, Index
from backend.labelstudio.accepted import VERSION, Mark, mark_of, marked
from backend.labelstudio.labelling_config import parse_label_config
from tests.backend.project.made_up import TARGET, annotation, task

MARK = Mark("al-3-0a0b0c", 0.02)


def by_model(choice="A", **values):
    """An annotation that was accepted from the model."""
    return {"result": [marked(TARGET.region(choice, 0.99), MARK)]} | values


@pytest.fixture
def index(tmp_path):
    """An index of nothing."""
    index = Index(tmp_path / "index.sqlite")
    yield index
    index.close()


def edited(choice):
    """An accepted annotation in which a person has chosen `choice`, as Label Studio's editor stores it."""
    (region,) = by_model()["result"]
    known = ("id", "from_name", "to_name", "type", "score")
    return {"result": [{key: region[key] for key in known if key in region} | {"value": {"choices": [choice]}}]}


@pytest.mark.parametrize(
    ("annotations", "state", "label"),
    [
        ([by_model()], UNLABELLED, None),
        ([by_model(), annotation("B")], LABELLED, "B"),
        ([by_model("A"), by_model("A"), annotation("B")], LABELLED, "B"),
        ([edited("B")], LABELLED, "B"),
        ([edited("A")], LABELLED, "A"),
        ([by_model(ground_truth=True)], LABELLED, "A"),
        ([by_model(), annotation(was_cancelled=True)], SKIPPED, None),
    ],
    ids=["alone", "beside a person's", "outvoted by one", "changed", "changed and back", "vouched for", "beside a skip"],
)
def test_an_accepted_annotation_says_nothing_and_a_persons_edit_makes_it_theirs(annotations, state, label):
    found = consensus(annotations, TARGET)
    assert (found.state, found.label) == (state, label)


def test_another_value_under_the_same_mark_is_a_persons():
    accepted = by_model()
    accepted["result"][0]["value"] = {"choices": ["B"]}
    assert consensus([accepted], TARGET).label == "B"


@pytest.mark.parametrize(
    "odd", [None, {}, "mark", {"value": None}, {"value": {"choices": ["A"]}, "error": 2.0, "version": "v"}]
)
def test_an_odd_mark_is_none(odd):
    assert mark_of([TARGET.region("A", 0.9) | {"al_accepted": odd}]) is None


def test_a_task_with_an_accepted_annotation_alone_is_accepted_and_nobody_has_answered_it(index):
    index.update([task(1, by_model()), task(2, annotation("B"))], TARGET)
    assert [(row.state, row.label) for row in index.rows()] == [(ACCEPTED, None), (LABELLED, "B")]
    assert [answer.task for answer in index.answers.all()] == [2]
    assert index.counts()["accepted"] == 1
    assert [(one.task, one.label, one.error) for one in index.accepted.all()] == [(1, "A", 0.02)]


def test_it_is_unlabelled_again_once_the_annotation_is_gone(index):
    index.update([task(1, by_model())], TARGET)
    index.update([task(1)], TARGET)
    assert index.row(1).state == UNLABELLED
    assert index.accepted.all() == []


def test_a_task_with_an_accepted_prediction_is_accepted_until_that_is_gone(index):
    index.update([task(1), task(2)], TARGET)
    index.accepted.set_predicted({1: ("A", MARK)})
    index.update([task(1)], TARGET)
    assert [row.state for row in index.rows()] == [ACCEPTED, UNLABELLED]
    index.accepted.set_predicted({})
    assert [row.state for row in index.rows()] == [UNLABELLED, UNLABELLED]


def test_what_a_person_says_of_an_accepted_task_is_its_label_and_the_acceptance_is_remembered(index):
    index.accepted.set_predicted({1: ("A", MARK)})
    index.update([task(1, annotation("B"))], TARGET)
    assert (index.row(1).state, index.row(1).label) == (LABELLED, "B")
    assert [(one.task, one.label) for one in index.accepted.all()] == [(1, "A")]


def test_accepted_predictions_are_found_in_label_studio_and_asked_for_once(index, label_studio):
    project = label_studio.add_project("<View></View>", ["/a.jpg", "/b.jpg"])
    first, second = label_studio.task_ids(project)
    label_studio.predictions[1] = {
        "id": 1, "task": first, "project": project, "model_version": VERSION, "score": 0.9, "result": by_model()["result"],
    }  # fmt: skip
    label_studio.predictions[2] = label_studio.predictions[1] | {"id": 2, "task": second, "model_version": "al-1-000000"}
    index.update([task(first), task(second)], TARGET)
    for _ in range(2):
        sync_accepted(index.accepted, label_studio.client(), project, TARGET)
    assert [row.state for row in index.rows()] == [ACCEPTED, UNLABELLED]
    assert len([request for request in label_studio.requests if request.path == "/api/tasks"]) == 1


def test_the_leaf_of_a_tree_is_accepted_as_any_class_is(index):
    config = """<View><Image name="image" value="$image"/><Taxonomy name="kind" toName="image">
        <Choice value="insects"><Choice value="ants"/><Choice value="bees"/></Choice></Taxonomy></View>"""
    tree = parse_label_config(config)
    index.update([task(1, {"result": [marked(tree.region("insects / bees", 0.99), MARK)]})], tree)
    assert index.row(1).state == ACCEPTED
    assert index.accepted.all()[0].label == "insects / bees"
