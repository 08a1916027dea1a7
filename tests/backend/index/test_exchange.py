"""Two indexes of one project, on machines that share no disk, come to know the same."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from backend.index.exchange import TARGET as READ_FOR
from backend.index.index import Index
from backend.index.index_file import SnapshotUnusable
from backend.index.moments import SYNCED_TO
from model.embeddings.embedding_store import embedding_key
from tests.backend.project.made_up import TARGET, annotation, damage, task

VERSION = "al-1-0a0b0c"
KEYS = [embedding_key(number, "/a.jpg") for number in range(5)]
FIRST, LATER = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"


class Machine:
    """An index that has read tasks up to a moment."""

    def __init__(self, folder, name, tasks=(), until=FIRST):
        folder = folder / name
        folder.mkdir()
        self.snapshot = folder / "snapshot"
        self.index = Index(folder / "index.sqlite")
        self.index.exchange.marking = True
        self.read(tasks, until)

    def read(self, tasks, until=FIRST, target="the target"):
        self.index.update(tasks, TARGET)
        self.index.set_note(SYNCED_TO, until)
        self.index.set_note(READ_FOR, target)

    def take(self, other, ours=False):
        """Take in what `other` knows."""
        other.index.exchange.write(self.snapshot)
        self.index.exchange.take(self.snapshot, "tag", ours)

    def publish(self, tasks, scores, slots=False):
        self.index.published.add(VERSION, np.array(tasks), np.array(scores, np.float64), np.full(len(tasks), slots))

    def errors(self):
        return {row.task: row.error for row in self.index.rows() if row.error}

    def states(self):
        return {row.task: row.label or row.state for row in self.index.rows()}

    def close(self):
        self.index.close()


@pytest.fixture
def make(tmp_path):
    """Makes machines."""
    made = []

    def machine(name, *tasks, until=FIRST):
        made.append(Machine(tmp_path, name, tasks, until))
        return made[-1]

    yield machine
    for one in made:
        one.close()


def test_what_one_has_read_the_other_has(make):
    here = make("here", task(1, annotation("A", completed_by=3, created_at=FIRST)), task(2, annotation("Z")), {"id": None})
    there = make("there", task(1), task(3), until="2026-01-01T00:00:00Z")
    there.take(here)
    assert there.states() == {1: "A", 2: "unusable"}
    assert there.index.answers.all() == here.index.answers.all()
    assert there.index.problems() == here.index.problems()
    assert there.index.note(SYNCED_TO) == FIRST
    assert there.index.exchange.tag() == "tag"


def test_of_two_that_have_read_it_counts_who_has_read_later(make):
    here, there = make("here", task(1), until=FIRST), make("there", task(1, annotation("A")), until=LATER)
    there.take(here)
    assert there.states() == {1: "A"}
    here.take(there, ours=True)
    assert here.states() == {1: "A"}


@pytest.mark.parametrize(("ours", "state"), [(True, "unlabelled"), (False, "A")])
def test_of_two_that_have_read_for_other_classes_the_job_at_work_is_right(make, ours, state):
    here, there = make("here", task(1)), make("there")
    there.read([task(1, annotation("A"))], LATER, "another target")
    here.take(there, ours)
    assert here.states() == {1: state}


def test_what_has_been_read_whole_is_not_given_for_a_part(make):
    here, there = make("here", task(1), task(2)), make("there", task(1), until="")
    here.take(there)
    assert here.states() == {1: "unlabelled", 2: "unlabelled"}


@pytest.mark.parametrize("until", [FIRST, LATER])
def test_no_image_error_is_lost_whoever_has_read_more(make, until):
    here, there = make("here", *map(task, range(1, 5)), until=until), make("there", *map(task, range(1, 5)))
    for machine, key in ((here, KEYS[1]), (there, KEYS[2])):
        machine.index.set_errors({key: "is gone"})
        machine.index.set_image_notes({key: "was cut short"})
    here.take(there, ours=True)
    there.take(here)
    assert here.errors() == there.errors() == {1: "is gone", 2: "is gone"}
    assert [problem.count for problem in here.index.problems()] == [2, 2]


def test_an_error_is_over_once_a_machine_has_read_the_image(make):
    here, there = make("here", task(1)), make("there", task(1))
    here.index.set_errors({KEYS[1]: "is gone"})
    there.take(here)
    here.index.exchange.sent("tag", here.index.exchange.write(here.snapshot))
    there.index.set_errors({KEYS[1]: None})
    here.take(there)
    assert here.errors() == {}


def test_an_error_of_an_image_that_the_task_had_before_stays_away(make):
    here, there = make("here", task(1, image="/new.jpg"), until=LATER), make("there", task(1))
    there.index.set_errors({KEYS[1]: "is gone"})
    there.take(here)
    assert there.errors() == {}
    here.take(there)
    assert here.errors() == {}


def test_no_published_task_is_lost_and_none_that_was_forgotten_comes_back(make):
    here, there = make("here", *map(task, range(1, 5))), make("there", *map(task, range(1, 5)))
    here.publish([1, 2], [0.1, 0.2])
    there.take(here)
    here.index.exchange.sent("tag", here.index.exchange.write(here.snapshot))
    here.publish([2, 3], [0.9, 0.3], slots=True)
    there.publish([4], [0.4])
    there.index.keep_only([2, 3, 4])
    there.take(here, ours=True)
    assert there.index.published.scores(VERSION) == {2: 0.9, 3: 0.3, 4: 0.4}
    assert there.index.published.slots(VERSION) == {2, 3}
    there.index.published.forget(VERSION)
    there.take(here, ours=True)
    assert there.index.published.scores(VERSION) == {}


def test_what_was_sent_is_no_longer_kept_against_others(make):
    here, there = make("here", task(1)), make("there", task(1))
    here.publish([1], [0.1])
    last = here.index.exchange.write(here.snapshot)
    here.index.set_errors({KEYS[1]: "is gone"})  # after the snapshot was made
    here.index.exchange.sent("tag", last)
    here.take(there)
    assert here.index.published.scores(VERSION) == {}
    assert here.errors() == {1: "is gone"}


def test_what_only_the_server_saw_is_not_for_others(make):
    here, there = make("here", task(1)), make("there", task(1))
    here.index.exchange.marking = False
    here.index.set_errors({KEYS[1]: "is gone"})
    here.take(there)
    assert here.errors() == {}


def test_how_far_a_reading_got_does_not_count_where_an_index_was_taken_in_meanwhile(make):
    here, there = make("here", task(1)), make("there", task(1), task(2), until=LATER)
    taken = here.index.exchange.taken()
    here.take(there)
    here.index.exchange.sent("another", here.index.exchange.write(here.snapshot))
    assert not here.index.set_notes({SYNCED_TO: "2026-01-02T03:04:07Z"}, taken)
    assert here.index.note(SYNCED_TO) == LATER
    taken = here.index.exchange.taken()
    there.read([], FIRST)
    here.take(there)  # which has read less
    assert here.index.set_notes({SYNCED_TO: "2026-01-02T03:04:07Z"}, taken)


def test_readers_see_one_moment(make):
    here, there = make("here", *map(task, range(1, 50))), make("there", task(1))
    with closing(sqlite3.connect(there.snapshot.parent / "index.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
        there.take(here)
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (1,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM tasks").fetchone() == (49,)


def test_a_damaged_snapshot_does_no_harm(make):
    here, there = make("here", *map(task, range(1, 50))), make("there", task(1))
    here.index.exchange.write(there.snapshot)
    damage(there.snapshot)
    with pytest.raises(SnapshotUnusable):
        there.index.exchange.take(there.snapshot, "tag", False)
    assert there.states() == {1: "unlabelled"}
    there.index.set_note("is", "usable")


def test_a_snapshot_of_another_version_is_left_alone(make):
    here, there = make("here", task(2)), make("there", task(1))
    here.index.exchange.write(there.snapshot)
    with closing(sqlite3.connect(there.snapshot)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(SnapshotUnusable, match="another version"):
        there.index.exchange.take(there.snapshot, "tag", False)
    assert there.states() == {1: "unlabelled"}


def test_what_is_read_again_as_it_was_is_no_change(make):
    listed = [
        task(1, annotation("A", completed_by=3)) | {"overlap": 1, "is_labeled": True},
        task(2) | {"overlap": 1},
        {"id": 3, "data": {}},
    ]
    here = make("here", *listed)
    here.index.set_errors({KEYS[2]: "is gone"})
    before = here.index.changes
    here.read(listed)
    here.index.set_image_notes({KEYS[1]: None})
    here.index.set_errors({KEYS[1]: None})
    assert here.index.changes == before
    assert before > 0


@pytest.mark.parametrize(
    "changed",
    [
        task(1) | {"overlap": 1, "is_labeled": True},
        task(1, annotation("B", completed_by=3)) | {"overlap": 1, "is_labeled": True},
        task(1, annotation("A", completed_by=3)) | {"overlap": 2, "is_labeled": True},
        task(1, annotation("A", completed_by=4)) | {"overlap": 1, "is_labeled": True},
        task(1, annotation("A", completed_by=3)),
        task(1, annotation("A", completed_by=3), image="/new.jpg") | {"overlap": 1, "is_labeled": True},
    ],
)
def test_what_is_read_otherwise_is(make, changed):
    here = make("here", task(1, annotation("A", completed_by=3)) | {"overlap": 1, "is_labeled": True})
    fresh = make("fresh", changed)
    before = here.index.changes
    here.read([changed])
    assert here.index.changes > before
    assert here.index.rows() == fresh.index.rows()
    assert here.index.answers.all() == fresh.index.answers.all()
    assert here.index.answers.wanted(1) == fresh.index.answers.wanted(1)


def test_several_peoples_label_is_weighed_anew_when_it_is_read_again(make):
    several = task(1, annotation("A", completed_by=3), annotation("B", completed_by=4), annotation("B", completed_by=5))
    here = make("here", several)
    here.index.answers.weigh({}, {1: 0.9})
    here.read([several])
    assert here.index.answers.several(fresh=True) == [1]
