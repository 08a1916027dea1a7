"""The index of a project on several machines, by snapshots in an object store."""

import logging
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from backend.index.exchange import TARGET as READ_FOR
from backend.index.index import Index
from backend.index.moments import SYNCED_TO
from backend.project import shared_index
from backend.project.shared_index import FRESH_SECONDS, SNAPSHOT, Looks, SharedIndex, exchanged, known_index, open_index
from backend.records.state import Projects
from model.embeddings.embedding_store import embedding_key
from model.storage.documents import DocumentsOnDisk
from model.storage.mirror import Mirror
from tests.backend.project.made_up import TARGET, damage, task

PROJECT = 3
NAME = f"projects/{PROJECT}/{SNAPSHOT}"
KEY = embedding_key(1, "/a.jpg")


class Machine:
    """One with a disk of its own, on which jobs work."""

    def __init__(self, bucket, folder):
        self.projects = Projects(folder, DocumentsOnDisk(folder / "documents"), Mirror(bucket, folder))
        self.path = folder / "projects" / str(PROJECT) / "index.sqlite"
        self.shared = SharedIndex(bucket, NAME, self.path)

    def work(self, act):
        """A job that does `act` with the index."""
        with closing(open_index(self.projects, PROJECT)) as index, exchanged(self.shared, index):
            return act(index)

    def look(self, about=Index.rows):
        """What somebody who only looks sees; None where there is no index."""
        with known_index(self.projects, PROJECT) as index:
            return about(index) if index else None


@pytest.fixture
def soon_away(monkeypatch):
    """It soon shows whether the store is away."""
    monkeypatch.setattr("model.storage.bucket.AT_ONCE_SECONDS", 1)


@pytest.fixture
def machines(bucket, tmp_path, monkeypatch):
    """Three machines, on which nobody has looked at anything yet."""
    monkeypatch.setattr(shared_index, "_looks", Looks())
    monkeypatch.setattr(shared_index, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(shared_index, "AWAY_SECONDS", 0.0)
    return [Machine(bucket, tmp_path / name) for name in ("first", "second", "third")]


def read(*tasks, until="2026-01-02T03:04:05Z"):
    """What a job does that reads these tasks."""

    def act(index):
        index.update(tasks, TARGET)
        index.set_note(SYNCED_TO, until)
        index.set_note(READ_FOR, "the target")

    return act


def publish(version, *tasks):
    """What a job does that publishes these tasks."""
    scores, slots = np.full(len(tasks), 0.25), np.zeros(len(tasks), bool)
    return lambda index: index.published.add(version, np.array(tasks), scores, slots)


def test_what_a_job_has_read_and_published_is_known_on_all_machines(machines):
    first, second, third = machines
    assert third.look() is None
    first.work(read(task(1), task(2)))
    second.work(publish("al-1-abcdef", 1, 2))
    second.work(lambda index: index.set_errors({KEY: "is gone"}))
    assert [(row.task, row.error) for row in third.look()] == [(1, "is gone"), (2, None)]
    assert third.look(lambda index: index.published.scores("al-1-abcdef")) == {1: 0.25, 2: 0.25}
    assert first.work(Index.counts)["unreadable"] == 1


def test_nothing_is_sent_where_nothing_has_changed(machines, bucket):
    first, second, _ = machines
    first.work(read(task(1)))
    tag = bucket.tag(NAME)
    first.work(read(task(1)))
    second.work(Index.rows)
    second.work(read(task(1)))
    assert bucket.tag(NAME) == tag != ""


def test_jobs_that_end_at_once_lose_nothing_of_each_other(machines):
    first, second, third = machines
    first.work(read(*map(task, range(1, 9))))
    together = threading.Barrier(2)

    def note(version, key):
        def act(index):
            publish(version, key)(index)
            index.set_errors({embedding_key(key, "/a.jpg"): "is gone"})
            together.wait()

        return act

    threads = [
        threading.Thread(target=machine.work, args=(note(f"al-{n}-abcdef", n),)) for n, machine in ((1, first), (2, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert third.look(lambda index: [*index.published.scores("al-1-abcdef"), *index.published.scores("al-2-abcdef")]) == [1, 2]
    assert [row.task for row in third.look() if row.error] == [1, 2]


def test_a_job_that_fails_has_told_what_it_found_out(machines):
    def fail(index):
        read(task(1))(index)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        machines[0].work(fail)
    assert len(machines[1].look()) == 1


@pytest.mark.usefixtures("soon_away")
def test_with_the_store_away_work_goes_on_with_what_is_here(machines, object_store, caplog):
    first, second, _ = machines
    first.work(read(task(1)))
    assert len(second.look()) == 1
    with object_store.away():
        began = time.monotonic()
        assert len(second.look()) == 1
        assert time.monotonic() - began < shared_index.LOOK_SECONDS + 1
        second.work(read(task(1), task(2), until="2026-01-02T03:04:06Z"))
    assert "is used as it is" in caplog.text
    assert len(second.look()) == 2  # what it has read is not given up for the older snapshot
    second.work(publish("al-1-abcdef", 2))
    assert len(first.look()) == 2


@pytest.mark.usefixtures("soon_away")
def test_what_could_not_be_sent_is_sent_by_the_next_job(machines, object_store):
    first, second, _ = machines
    first.work(read(task(1), task(2)))
    second.work(Index.rows)
    with object_store.away():
        second.work(lambda index: index.set_errors({KEY: "is gone"}))
        second.work(publish("al-1-abcdef", 2))
    first.work(publish("al-1-abcdef", 1))
    second.work(Index.rows)
    assert [row.task for row in first.look() if row.error] == [1]
    assert first.look(lambda index: set(index.published.scores("al-1-abcdef"))) == {1, 2}


@pytest.mark.parametrize("damaged", [b"", b"no gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x02\x03"])
def test_a_damaged_snapshot_is_passed_over_and_replaced(machines, bucket, damaged, caplog):
    first, second, third = machines
    first.work(read(task(1)))
    bucket.write(NAME, damaged)
    first.work(Index.rows)
    assert caplog.text.count("tells nothing") == 1
    assert [row.task for row in first.look()] == [1]
    first.work(read(task(1), task(2)))
    assert len(third.look()) == 2
    assert len(second.work(Index.rows)) == 2


def test_an_index_that_is_lost_here_is_taken_from_the_store(machines):
    first, second, _ = machines
    first.work(read(*map(task, range(1, 50))))
    second.work(Index.rows)
    damage(second.path)
    assert len(second.work(Index.rows)) == 49


def test_a_snapshot_that_is_gone_is_made_again(machines, bucket):
    first, second, third = machines
    first.work(read(task(1)))
    second.work(Index.rows)
    bucket.remove(NAME)
    second.work(publish("al-1-abcdef", 1))
    assert third.look(lambda index: index.published.scores("al-1-abcdef")) == {1: 0.25}
    assert len(first.look()) == 1


def test_nothing_but_the_index_is_left_on_the_disk(machines):
    for machine in machines[:2]:
        machine.work(read(task(1)))
    left = {path.name for path in machines[1].path.parent.iterdir()} - {"index.sqlite", "index.sqlite.lock"}
    assert left == {".index.sqlite.snapshot.lock"}


def test_pages_that_are_asked_for_one_after_another_ask_the_store_once(machines, monkeypatch):
    asked = []
    monkeypatch.setattr(shared_index, "FRESH_SECONDS", FRESH_SECONDS)
    monkeypatch.setattr(SharedIndex, "take", lambda self: asked.append(self.path))
    for _ in range(5):
        machines[0].look()
    assert len(asked) == 1


def test_who_only_looks_waits_a_little_for_a_large_snapshot_and_the_others_not_at_all(machines, monkeypatch):
    monkeypatch.setattr(shared_index, "LOOK_SECONDS", 0.2)
    released = threading.Event()
    monkeypatch.setattr(SharedIndex, "take", lambda _: released.wait(30))
    began = time.monotonic()
    for _ in range(20):
        machines[0].look()
    assert time.monotonic() - began < 2
    released.set()


def test_a_machine_on_which_machines_share_a_disk_asks_no_store(tmp_path, caplog):
    projects = Projects(tmp_path)
    with (
        caplog.at_level(logging.WARNING),
        closing(open_index(projects, PROJECT)) as index,
        exchanged(shared_index.shared_index(projects, PROJECT), index),
    ):
        read(task(1))(index)
        publish("al-1-abcdef", 1)(index)
    with known_index(projects, PROJECT) as index:
        assert len(index.rows()) == 1
    assert caplog.text == ""
