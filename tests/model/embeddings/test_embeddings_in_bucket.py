"""The embeddings of several machines in one bucket: whatever happens to their copies, none is lost."""

import threading
import time

import numpy as np
import pytest

from model.embeddings import embedding_store
from model.embeddings.embedding_store import COMPACT_ABOVE, EmbeddingStore
from model.storage import mirror
from model.storage.bucket import Bucket
from model.storage.mirror import Mirror

WIDTH = 4


def values(*keys):
    """Embeddings that tell their keys."""
    return np.array([[key, 1, 2, 3] for key in keys], np.float16)


def add(store, *keys):
    store.add(list(keys), values(*keys))


@pytest.fixture
def machine(bucket, tmp_path):
    """Makes the store of a machine, as a process of its own sees it."""

    def make(name):
        mirror = Mirror(bucket, tmp_path / name).within("embeddings").within("resnet50-x")
        return EmbeddingStore(mirror.folder, WIDTH, mirror)

    return make


def opened(machine, name):
    store = machine(name)
    store.refresh()
    return store


def shards(store):
    return sorted(store.folder.glob("[!.]*.safetensors"))


def test_what_one_machine_adds_another_reads_after_its_next_refresh(machine):
    here, there = opened(machine, "here"), opened(machine, "there")
    add(here, 1, 2)
    assert there.missing([1, 2]) == [1, 2]
    there.refresh()
    assert there.missing([1, 2, 3]) == [3]
    got, found = there.get([2, 1])
    assert found.all()
    assert (got == values(2, 1)).all()


def test_whoever_is_in_a_hurry_keeps_its_embeddings_itself_while_the_store_is_away(object_store, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "AWAY_SECONDS", 3)
    bucket = Bucket(object_store.new_folder())
    hurried = Mirror(bucket, tmp_path / "here").in_a_hurry()
    here, there = (
        EmbeddingStore(hurried.folder, WIDTH, hurried),
        EmbeddingStore(tmp_path / "there", WIDTH, Mirror(bucket, tmp_path / "there")),
    )
    here.refresh()
    with object_store.away():
        for key, most in ((1, 10), (2, 2.5)):
            started = time.monotonic()
            add(here, key)
            assert time.monotonic() - started < most
        here.refresh()
        assert here.missing([1, 2]) == []
    time.sleep(mirror.AWAY_SECONDS)
    for store in (here, there):
        store.refresh()
        assert store.missing([2]) == [2]  # so that a job embeds it; the first may have arrived after all
    add(here, 2)
    there.refresh()
    assert there.missing([2]) == []


def test_what_a_moment_ago_was_seen_will_do_for_those_who_say_so(machine):
    here, there = opened(machine, "here"), opened(machine, "there")
    add(here, 1)
    there.refresh(age=60)
    assert there.missing([1]) == [1]
    add(there, 2)
    there.refresh(age=60)
    assert there.missing([1, 2]) == []


@pytest.mark.parametrize("damage", [b"", b"\xff" * 100, None], ids=["empty", "foreign", "gone"])
@pytest.mark.parametrize("before", [True, False], ids=["before it was read", "since"])
def test_a_copy_that_is_damaged_or_gone_is_fetched_again(machine, damage, before):
    add(machine("here"), 1, 2)
    store = machine("here") if before else opened(machine, "here")
    (copy,) = shards(store)
    copy.unlink()
    if damage is not None:
        copy.write_bytes(damage)
    if before:
        store.refresh()
    got, found = store.get([1, 2])
    assert found.all()
    assert (got == values(1, 2)).all()
    assert store.missing([1, 2]) == []


@pytest.mark.parametrize("before", [True, False], ids=["before it was read", "since"])
def test_a_copy_with_a_damaged_row_is_fetched_again(machine, before):
    add(machine("here"), 1, 2)
    store = machine("here") if before else opened(machine, "here")
    (copy,) = shards(store)
    content = bytearray(copy.read_bytes())
    content[-2:] = b"\xff\xff"
    copy.write_bytes(content)
    if before:
        store.refresh()
    assert (store.get([1, 2])[0] == values(1, 2)).all()


def test_a_row_that_is_damaged_in_the_bucket_is_embedded_again_and_fetched_once(machine, bucket, monkeypatch):
    damaged = values(1, 2)
    damaged[1, 2] = np.nan
    machine("here").add([1, 2], damaged)
    fetched = []
    fetch_again = Mirror.fetch_again
    monkeypatch.setattr(Mirror, "fetch_again", lambda self, name: fetched.append(name) or fetch_again(self, name))
    for _ in range(3):
        store = opened(machine, "here")
        assert store.missing([1, 2]) == [2]
        assert store.get([1, 2])[1].tolist() == [True, False]
    assert len(fetched) == 1
    assert len(bucket.objects()) == 1


def test_a_shard_that_is_damaged_in_the_bucket_is_removed_and_embedded_again(machine, bucket):
    here = opened(machine, "here")
    add(here, 1)
    (name,) = bucket.objects()
    bucket.write(name, b"damaged")
    there = opened(machine, "there")
    assert there.missing([1]) == [1]
    assert not bucket.objects()
    add(there, 1)
    here.refresh()
    assert here.get([1])[1].all()


def test_a_shard_that_another_machine_removed_goes_here_too(machine, bucket):
    here, there = machine("here"), machine("there")
    add(here, 1)
    there.refresh()
    bucket.remove(*bucket.objects())
    there.refresh()
    assert (there.missing([1]), shards(there)) == ([1], [])


def test_a_shard_that_did_not_reach_the_bucket_is_nowhere(machine, monkeypatch):
    here = opened(machine, "here")
    monkeypatch.setattr(Mirror, "put", cut_off)
    with pytest.raises(KeyboardInterrupt):
        add(here, 1)
    assert list(here.folder.iterdir()) == []


def cut_off(*_):
    raise KeyboardInterrupt


def test_while_the_store_is_away_what_is_here_is_read(machine, object_store):
    here = opened(machine, "here")
    add(here, 1)
    here.refresh()
    with object_store.away():
        other = EmbeddingStore(here.folder, WIDTH, here._mirror)
        other.refresh()
        assert other.get([1])[1].all()


def test_compaction_removes_in_the_bucket_what_it_merged(machine, bucket):
    here, there = machine("here"), opened(machine, "there")
    keys = range(COMPACT_ABOVE + 1)
    for key in keys:
        add(here, key)
    there.refresh()
    here.compact()
    assert len(bucket.objects()) == len(shards(here)) == 1
    got, found = there.get(keys)  # reads its copies, which nobody here has removed
    there.refresh()
    assert len(shards(there)) == 1
    assert found.all()
    assert (there.get(keys)[0] == got).all()
    assert (got == values(*keys)).all()


def test_two_machines_that_compact_at_once_lose_nothing(machine, bucket, monkeypatch):
    here, there = machine("here"), machine("there")
    keys = range(COMPACT_ABOVE + 1)
    for key in keys:
        add(here, key)
    merged = EmbeddingStore.add

    def add_while_the_other_compacts(store, *arguments):
        monkeypatch.setattr(EmbeddingStore, "add", merged)
        add(there, 1000)
        there.compact()  # between reading and removing of the first
        merged(store, *arguments)

    monkeypatch.setattr(EmbeddingStore, "add", add_while_the_other_compacts)
    here.compact()
    for name in ("here", "there", "a third"):
        got, found = opened(machine, name).get([*keys, 1000])
        assert found.all()
        assert (got == values(*keys, 1000)).all()
    assert len(bucket.objects()) <= 3


def test_a_compaction_that_was_cut_off_before_it_removed_loses_nothing(machine, bucket, monkeypatch):
    here = machine("here")
    keys = range(COMPACT_ABOVE + 1)
    for key in keys:
        add(here, key)
    with monkeypatch.context() as cut:
        cut.setattr(Mirror, "remove", cut_off)
        with pytest.raises(KeyboardInterrupt):
            here.compact()
    there = opened(machine, "there")
    assert there.get(keys)[1].all()
    there.compact()
    assert opened(machine, "here").get(keys)[1].all()
    assert len(bucket.objects()) < COMPACT_ABOVE


@pytest.fixture(autouse=True)
def _as_in_a_new_process():
    """What a process remembers of damaged copies is forgotten."""
    embedding_store._damaged.clear()


def test_a_shard_of_another_process_here_stays_though_it_is_newer_than_what_was_seen(machine):
    one, other = opened(machine, "here"), machine("here")
    add(other, 1)
    one.refresh(age=60)
    assert one.get([1])[1].all()
    assert len(shards(other)) == 1


def test_who_is_in_a_hurry_goes_on_while_much_is_fetched_and_has_it_then(machine, monkeypatch, bucket, tmp_path):
    for key in range(3):
        add(machine("here"), key)
    monkeypatch.setattr(mirror, "LARGE", 100)
    may_go_on, fetch_again = threading.Event(), Mirror.fetch_again
    monkeypatch.setattr(Mirror, "fetch_again", lambda self, name: may_go_on.wait(10) and fetch_again(self, name))
    copies = Mirror(bucket, tmp_path / "there").in_a_hurry().within("embeddings").within("resnet50-x")
    store = EmbeddingStore(copies.folder, WIDTH, copies)
    for _ in range(2):
        store.refresh()
        assert store.missing([0, 1, 2]) == [0, 1, 2]
    (fetching,) = (thread for thread in threading.enumerate() if thread.name == "fetch")
    may_go_on.set()
    fetching.join()
    store.refresh()
    assert store.missing([0, 1, 2]) == []
    with monkeypatch.context() as at_leisure:
        at_leisure.setattr(copies, "hurried", False)
        add(machine("here"), 3)
        store.refresh()
        assert store.missing([3]) == []


def test_who_reads_with_a_wrong_width_takes_nothing_from_others(machine, bucket):
    here = opened(machine, "here")
    add(here, 1)
    wrong = EmbeddingStore(here.folder, WIDTH + 1, here._mirror)
    wrong.refresh()
    assert wrong.missing([1]) == [1]
    assert len(bucket.objects()) == 1
    here.refresh()
    assert here.get([1])[1].all()
