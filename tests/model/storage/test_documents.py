import threading
import time
from contextlib import nullcontext

import pytest

import model.storage.documents_in_bucket as module
from model.storage.bucket import Bucket, Changed, StoreUnavailable
from model.storage.documents_in_bucket import DocumentsInBucket


def test_what_is_written_is_read_and_what_is_removed_is_gone(documents):
    assert documents.read("a") is None
    documents.write("a", b"\xff1")
    assert (documents.read("a"), documents.read_text("a"), documents.read_json("a")) == (b"\xff1", "\ufffd1", None)
    documents.write_json("a", {"b": 1})
    assert documents.read_json("a") == {"b": 1}
    documents.remove("a")
    documents.remove("a")
    assert (documents.read("a"), documents.read_text("a"), documents.read_json("a")) == (None, "", None)


def test_documents_of_a_folder_are_listed_and_cleared_without_those_below(documents):
    within = documents.within("projects")
    for name in ("b", "a", "3/c"):
        within.write(name, b"1")
    assert (within.names(), within.names("3"), within.names("none")) == (["a", "b"], ["c"], [])
    assert (documents.folders(), within.folders(), documents.names()) == (["projects"], ["3"], [])
    within.clear()
    assert (within.names(), documents.within("projects/3").names()) == ([], ["c"])


def test_many_that_count_at_once_miss_nothing(documents):
    def count():
        for _ in range(10):
            with documents.locked("n"):
                documents.write_json("n", (documents.read_json("n") or 0) + 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert documents.read_json("n") == 40


@pytest.fixture
def two(bucket):
    """What two machines see of a bucket, whose locks do not hold each other off."""
    return [DocumentsInBucket(bucket, lambda _: nullcontext()) for _ in range(2)]


def test_a_write_by_what_another_machine_has_changed_meanwhile_is_refused(two):
    mine, theirs = two
    with mine.locked("a"):
        theirs.write("a", b"theirs")
        with pytest.raises(Changed):
            mine.write("a", b"mine")
    assert theirs.read("a") == b"theirs"


def test_what_another_machine_writes_a_server_sees_after_a_moment_and_others_at_once(two, monkeypatch):
    monkeypatch.setattr(module, "FRESH_SECONDS", 60)
    mine, theirs = two[0].taken_with(module.Haste.SERVING), two[1]
    mine.write("a", b"1")
    theirs.write("a", b"2")
    assert mine.read("a") == b"1"  # read a moment ago
    with mine.locked("a"):
        assert mine.read("a") == b"2"
    theirs.write("a", b"4")
    assert (mine.read("a"), two[0].taken_with(module.Haste.HURRIED).read("a"), two[0].read("a")) == (b"2", b"4", b"4")
    theirs.write("a", b"3")
    monkeypatch.setattr(module, "FRESH_SECONDS", 0)
    assert mine.read("a") == b"3"


def test_a_bucket_out_of_reach_leaves_what_was_read_before_and_takes_no_change(object_store, monkeypatch):
    monkeypatch.setattr(module, "FRESH_SECONDS", 0)
    monkeypatch.setattr("model.storage.bucket.ANSWER_SECONDS", 1)
    patient = DocumentsInBucket(Bucket(object_store.new_folder(), patience=1), lambda _: nullcontext())
    documents = patient.taken_with(module.Haste.SERVING)
    documents.write("a", b"1")
    with object_store.away():
        begun = time.monotonic()
        assert [documents.read("a") for _ in range(5)] == [b"1"] * 5
        assert time.monotonic() - begun < module.AWAY_SECONDS
        for others in (patient, patient.taken_with(module.Haste.HURRIED)):
            with pytest.raises(StoreUnavailable):
                others.read("a")
    documents.write("a", b"2")
    assert documents.read("a") == b"2"


def test_what_lies_in_a_folder_is_known_while_the_bucket_is_out_of_reach_and_a_server_does_not_wait(object_store):
    documents = DocumentsInBucket(Bucket(object_store.new_folder(), patience=30), lambda _: nullcontext())
    documents.write("3/a", b"1")
    serving = documents.taken_with(module.Haste.SERVING)
    assert (serving.names("3"), serving.folders(), serving.has("3/a")) == (["a"], ["3"], True)
    with object_store.away():
        time.sleep(module.FRESH_SECONDS)
        begun = time.monotonic()
        assert (serving.names("3"), serving.folders(), serving.has("3/a"), serving.read("3/a")) == (["a"], ["3"], True, b"1")
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match="STORE=s3://"):
                serving.read("3/unknown")
        with pytest.raises(StoreUnavailable), serving.locked("3/a"):
            pytest.fail("nobody knows what it holds now")
        assert time.monotonic() - begun < 10  # two waits of three seconds


def test_names_follow_what_was_written_and_removed_a_moment_ago(documents):
    assert documents.names() == []
    documents.write("a", b"1")
    assert documents.names() == ["a"]
    documents.remove("a")
    assert (documents.names(), documents.has("a")) == ([], False)


def test_all_of_a_folder_is_forgotten_and_its_neighbours_stay(documents):
    for name in ("3/a", "3/b/c", "33/a"):
        documents.write(name, b"1")
    documents.within("3").forget()
    assert [documents.read(name) for name in ("3/a", "3/b/c", "33/a")] == [None, None, b"1"]
