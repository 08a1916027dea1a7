"""Whatever tasks and annotations hold: each costs itself alone, is counted, and has a reason that can be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.index.consensus import LABELLED, UNUSABLE, consensus
from backend.index.index import Index
from backend.index.listed import task_id
from backend.index.moments import newest_change
from backend.labelstudio.labelling_config import parse_label_config
from backend.labelstudio.redaction import redact
from backend.labelstudio.task_data import look_up
from tests.properties.made_up import ANNOTATIONS, ANYTHING, DATA, GOOD, TASKS, TEXT

TARGET = parse_label_config(GOOD)
SOUND = {
    "id": 1_000_000,
    "data": {"image": "/sound.jpg"},
    "annotations": [{"result": [TARGET.region("A", 1.0)], "was_cancelled": False, "ground_truth": False}],
}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """One index for all examples, which empty it first."""
    index = Index(tmp_path_factory.mktemp("index") / "index.sqlite")
    yield index
    index.close()


@given(st.lists(ANNOTATIONS, max_size=5) | ANYTHING)
def test_annotations_give_a_class_or_a_reason(annotations):
    found = consensus(annotations, TARGET)
    assert (found.label in TARGET.classes) == (found.state == LABELLED)
    assert bool(found.remark) == (found.state == UNUSABLE)
    assert len(found.remark.encode()) < 600


@given(st.lists(ANNOTATIONS, max_size=5))
def test_an_odd_annotation_beside_ground_truth_changes_nothing(annotations):
    truth = SOUND["annotations"][0] | {"ground_truth": True}
    odd = [a for a in annotations if not isinstance(a, dict) or "ground_truth" not in a]
    assert consensus([*odd, truth], TARGET).label == "A"


@given(st.lists(TASKS, max_size=6))
def test_no_task_keeps_another_from_being_taken_in(index, tasks):
    index.clear()
    index.update([*tasks, SOUND], TARGET)
    rows = {row.task: row for row in index.rows()}
    problems = index.problems()
    counts = index.counts()
    known = {number for task in tasks if (number := task_id(task)) is not None}
    assert set(rows) == known | {SOUND["id"]}
    assert rows[SOUND["id"]].label == "A"
    assert sum(counts[state] for state in ("unlabelled", "labelled", "skipped", "unusable", "accepted")) == len(rows)
    unusable = sum(
        problem.count for problem in problems if problem.kind in ("class", "several", "malformed", "elsewhere", "empty", "tie")
    )
    assert unusable == counts["unusable"]
    for problem in problems:
        assert len(str(problem).encode()) < 1000


@given(st.lists(TASKS, max_size=6))
def test_reading_tasks_again_changes_nothing(index, tasks):
    index.clear()
    index.update(tasks, TARGET)
    before = index.rows()
    index.update(tasks, TARGET)
    assert index.rows() == before


@given(DATA, TEXT)
def test_any_path_into_any_data_finds_something_or_nothing(data, path):
    look_up(data, path)


@given(st.lists(ANYTHING, max_size=4), ANYTHING)
def test_how_far_a_sync_got_is_a_moment_or_nothing(tasks, mark):
    found = newest_change(tasks, mark)
    assert isinstance(found, str)


@given(
    TEXT, st.sampled_from(["sig", "X-Amz-Signature", "token", "Key-Pair-Id"]), st.sampled_from(["https://h/{}", "//{}", "{}"])
)
def test_what_is_kept_of_an_address_holds_no_signature(text, name, form):
    kept = redact(f"{form.format('a.jpg')}?{name}=hunter2hunter2&b={text}")
    assert "hunter2" not in kept
    assert len(kept.encode()) < 9000
