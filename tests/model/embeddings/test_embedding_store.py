"""The store of embeddings: whatever happens to its shards, an image is known right or embedded again."""

import numpy as np
import pytest

from model.embeddings.embedding_store import COMPACT_ABOVE, EmbeddingStore


def values(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)


def store_of(folder, n=0):
    """A store with keys 0..n-1."""
    store = EmbeddingStore(folder, 4)
    store.add(list(range(n)), values(n))
    store.refresh()
    return store


def shards(store):
    return sorted(store.folder.glob("*.safetensors"))


def test_embeddings_come_back_in_the_order_of_the_keys(tmp_path):
    got, found = store_of(tmp_path, 5).get([3, 0])
    assert got == pytest.approx(values(5)[[3, 0]], abs=1e-3)
    assert found.all()


def test_embeddings_are_rounded_to_float16(tmp_path):
    got, _ = store_of(tmp_path, 5).get(range(5))
    assert got.dtype == np.float16
    assert (got == values(5).astype(np.float16)).all()


def test_a_non_contiguous_array_comes_back_as_it_was(tmp_path):
    store = store_of(tmp_path)
    store.add([1, 2, 3], values(6)[::-2])
    store.refresh()
    assert store.get([1, 2, 3])[0] == pytest.approx(values(6)[::-2], abs=2e-3)


def test_an_unknown_key_is_not_found_and_zero(tmp_path):
    got, found = store_of(tmp_path, 2).get([99, 1])
    assert found.tolist() == [False, True]
    assert (got[0] == 0).all()


def test_no_keys_have_no_embeddings(tmp_path):
    got, found = store_of(tmp_path, 2).get([])
    assert (got.shape, found.shape) == ((0, 4), (0,))


def test_missing_keys_keep_their_order(tmp_path):
    assert store_of(tmp_path, 3).missing([9, 1, 7, 2, 8]) == [9, 7, 8]


def test_nothing_added_makes_no_shard(tmp_path):
    assert shards(store_of(tmp_path)) == []


def test_a_store_without_a_folder_is_empty(tmp_path):
    assert store_of(tmp_path / "absent").missing([1]) == [1]


def test_another_store_sees_a_shard_once_it_refreshes(tmp_path):
    one, other = store_of(tmp_path), store_of(tmp_path)
    one.add([5], values(1))
    before = other.missing([5])
    other.refresh()
    assert (before, other.missing([5])) == ([5], [])


def test_two_stores_add_to_each_other(tmp_path):
    one, other = store_of(tmp_path), store_of(tmp_path)
    one.add([1], values(1))
    other.add([2], values(1))
    for store in (one, other):
        store.refresh()
    assert one.missing([1, 2]) == other.missing([1, 2]) == []


def test_keys_of_a_removed_shard_are_missing_after_a_refresh(tmp_path):
    store = store_of(tmp_path, 3)
    shards(store)[0].unlink()
    store.refresh()
    assert store.missing([0, 1]) == [0, 1]


def test_a_shard_removed_between_refresh_and_get_is_not_found(tmp_path):
    store = store_of(tmp_path, 3)
    shards(store)[0].unlink()
    assert not store.get([0, 1])[1].any()
    assert store.missing([0, 1]) == [0, 1]


@pytest.mark.parametrize("content", [b"", b"\xff" * 100])
def test_a_shard_that_broke_before_it_was_read_is_dropped(tmp_path, content):
    store = store_of(tmp_path)
    store.add([1], values(1))
    shards(store)[0].write_bytes(content)
    store.refresh()
    assert store.missing([1]) == [1]
    assert shards(store) == []


def test_keys_of_a_shard_that_broke_since_are_missing_again(tmp_path):
    store = store_of(tmp_path, 3)
    shards(store)[0].write_bytes(shards(store)[0].read_bytes()[:-5])
    assert not store.get([0, 1])[1].any()
    assert store.missing([0, 1]) == [0, 1]


def test_a_broken_shard_takes_no_other_with_it(tmp_path):
    store = store_of(tmp_path, 3)
    (broken,) = shards(store)
    store.add([7], values(1))
    store.refresh()
    broken.write_bytes(b"")
    assert store.get([0, 7])[1].tolist() == [False, True]


def test_an_embedding_can_be_added_again_after_its_shard_broke(tmp_path):
    store = store_of(tmp_path, 1)
    shards(store)[0].write_bytes(b"")
    store.get([0])
    store.add([0], values(1))
    store.refresh()
    assert store.get([0])[1].all()


def test_a_shard_of_another_width_is_dropped(tmp_path):
    store_of(tmp_path, 3)
    wider = EmbeddingStore(tmp_path, 5)
    wider.refresh()
    assert wider.missing([0]) == [0]


def test_a_half_written_shard_is_invisible(tmp_path):
    store = store_of(tmp_path, 3)
    (whole,) = shards(store)
    whole.rename(tmp_path / f".{whole.name}.12345678.tmp")
    store.refresh()
    assert store.missing([0]) == [0]


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (3, 5), (3,), (3, 4, 1)])
def test_embeddings_that_do_not_fit_three_keys_are_refused_by_their_shape(tmp_path, shape):
    with pytest.raises(ValueError, match="3 keys do not fit embeddings of shape"):
        EmbeddingStore(tmp_path, 4).add([1, 2, 3], np.zeros(shape, np.float32))


def many_small(folder, n=COMPACT_ABOVE + 6):
    store = store_of(folder)
    for key in range(n):
        store.add([key], values(n)[key : key + 1])
    return store


def test_compacting_keeps_every_value(tmp_path):
    store = many_small(tmp_path)
    store.compact()
    got, found = store.get(range(COMPACT_ABOVE + 6))
    assert found.all()
    assert (got == values(COMPACT_ABOVE + 6).astype(np.float16)).all()


def test_compacting_many_small_shards_leaves_one(tmp_path):
    store = many_small(tmp_path)
    store.compact()
    assert len(shards(store)) == 1


def test_few_shards_are_left_as_they_are(tmp_path):
    store = many_small(tmp_path, 10)
    before = shards(store)
    store.compact()
    assert shards(store) == before


def test_another_store_finds_everything_after_a_compaction(tmp_path):
    store = many_small(tmp_path)
    other = store_of(tmp_path)
    store.compact()
    other.refresh()
    assert other.get(range(COMPACT_ABOVE + 6))[1].all()


def test_rows_that_another_process_merged_meanwhile_are_still_found(tmp_path):
    writer = EmbeddingStore(tmp_path, 2)
    for key in range(70):
        writer.add([key], np.full((1, 2), key))
    reader = EmbeddingStore(tmp_path, 2)
    reader.refresh()
    writer.compact()
    values, found = reader.get(list(range(70)))
    assert found.all()
    assert values[:, 0].tolist() == list(range(70))
