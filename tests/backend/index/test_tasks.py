"""The tasks of an index as arrays and by questions: the same as its rows say one by one."""

from contextlib import closing

import numpy as np
import pytest

from backend.index.consensus import ACCEPTED, LABELLED, SKIPPED, UNLABELLED, UNUSABLE
from backend.index.index import Index
from backend.index.tasks import STATES
from backend.labelstudio.accepted import Mark
from tests.backend.project.made_up import TARGET, annotation, task


@pytest.fixture
def index(tmp_path):
    """Tasks in every state, of which one's image cannot be read."""
    with closing(Index(tmp_path / "index.sqlite")) as index:
        listed = [
            task(9),
            task(2, annotation("A")),
            task(7, annotation("C")),
            task(3, annotation(was_cancelled=True)),
            task(4, annotation("A"), annotation("B")),
            task(5),
            task(8),
        ]
        index.update(listed, TARGET)
        index.accepted.set_predicted({5: ("B", Mark("al-1-0a0b0c", 0.02))})
        index.set_errors({index.row(8).key: "not found"})
        scores = np.array([0.1, 0.2, 0.3, 0.4])
        index.published.add("al-1-0a0b0c", np.array([9, 2, 3, 5]), scores, np.zeros(4, bool))
        yield index


def test_the_arrays_say_what_the_rows_say(index):
    found, rows = index.tasks.arrays(), index.rows()
    assert found.tasks.tolist() == [row.task for row in rows] == [2, 3, 4, 5, 7, 8, 9]
    assert found.keys.tolist() == [row.key for row in rows]
    assert [STATES[number] for number in found.states] == [row.state for row in rows]
    assert {STATES[number] for number in found.states} == set(STATES)
    assert found.unreadable.tolist() == [row.error is not None for row in rows]
    assert found.labels == index.tasks.labels() == {row.task: row.label for row in rows if row.label} == {2: "A", 7: "C"}


def test_of_an_empty_index_the_arrays_are_empty(tmp_path):
    with closing(Index(tmp_path / "empty.sqlite")) as index:
        assert len(index.tasks.arrays().tasks) == len(index.tasks.pool()[0]) == len(index.tasks.of(UNLABELLED)) == 0


@pytest.mark.parametrize(
    ("states", "tasks"),
    [((UNLABELLED,), [8, 9]), ((LABELLED,), [2, 7]), ((SKIPPED, UNUSABLE), [3, 4]), ((UNLABELLED, ACCEPTED), [5, 8, 9])],
)
def test_tasks_are_told_by_their_state(index, states, tasks):
    assert index.tasks.of(*states).tolist() == tasks


def test_of_tasks_asked_for_those_that_are_gone_are_left_out(index):
    assert index.tasks.known([7, 100, 3]) == {7: (LABELLED, "C"), 3: (SKIPPED, None)}


def test_of_what_was_published_those_in_a_state_are_told_with_their_scores(index):
    assert index.tasks.published("al-1-0a0b0c", UNLABELLED) == {9: 0.1}
    assert index.tasks.published("al-1-0a0b0c", SKIPPED, ACCEPTED) == {3: 0.3, 5: 0.4}
    assert index.tasks.published("al-2-0a0b0c", UNLABELLED) == {}


def test_keys_stand_in_the_order_of_the_tasks_asked_for(index):
    assert index.tasks.keys([9, 2]) == [index.row(9).key, index.row(2).key]


def test_the_newest_task_has_the_highest_id(index):
    assert index.tasks.newest() == 9
