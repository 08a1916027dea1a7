"""Embeddings that stay in their store: read like an array, whatever happens to the store meanwhile."""

import numpy as np
import pytest

from model.embeddings import stored_embeddings
from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.stored_embeddings import StoredEmbeddings, embeddings_of, part_of

KEYS = np.array([7, 3, 9, 4, 8, 1])


@pytest.fixture
def values():
    """What is stored for KEYS."""
    return np.random.default_rng(0).normal(size=(6, 4)).astype(np.float16)


@pytest.fixture
def store(tmp_path, values):
    """A store of two shards, of which neither has the keys in their order."""
    store = EmbeddingStore(tmp_path / "embeddings", 4)
    for rows in ([5, 1, 3], [0, 4, 2]):
        store.add(KEYS[rows].tolist(), values[rows])
    store.refresh()
    return store


@pytest.mark.parametrize(
    "rows", [slice(None), slice(2, 5), slice(0, 0), np.array([4, 0, 4]), np.array([True, False, True, False, False, True])]
)
def test_rows_are_those_of_an_array(store, values, rows):
    stored = StoredEmbeddings(store, KEYS)
    assert (len(stored), stored.shape, stored.ndim, stored.dtype) == (6, (6, 4), 2, np.float16)
    assert np.array_equal(stored[rows], values[rows])
    assert np.array_equal(np.asarray(part_of(stored, rows), np.float32), values[rows].astype(np.float32))


def test_a_part_of_an_array_is_an_array(values):
    assert np.array_equal(part_of(values, slice(1, 3)), values[1:3])


def test_a_part_of_what_is_stored_is_read_only_when_it_is_asked_for(store, monkeypatch):
    monkeypatch.setattr(EmbeddingStore, "parts", None)
    assert part_of(part_of(StoredEmbeddings(store, KEYS), slice(1, 5)), np.array([0, 2])).shape == (2, 4)


def test_what_is_gone_by_the_time_it_is_read_is_nan(store, values):
    stored = StoredEmbeddings(store, KEYS)
    first, second = sorted(store.folder.glob("*.safetensors"))
    first.unlink()
    read = stored[:]
    left = np.isfinite(read).all(axis=1)
    assert left.sum() == 3
    assert np.array_equal(read[left], values[left])
    second.unlink()
    assert np.isnan(stored[:]).all()


def test_what_was_merged_meanwhile_is_found(store, values):
    stored, old = StoredEmbeddings(store, KEYS), list(store.folder.iterdir())
    EmbeddingStore(store.folder, 4).add(KEYS.tolist(), values)
    for shard in old:
        shard.unlink()
    assert np.array_equal(stored[:], values)


def test_many_stay_in_the_store_and_few_are_read(store, values, monkeypatch):
    asked = np.append(KEYS, 100)
    few, found = embeddings_of(store, asked)
    assert isinstance(few, np.ndarray)
    monkeypatch.setattr(stored_embeddings, "IN_MEMORY", 6)
    many, found_too = embeddings_of(store, asked)
    assert isinstance(many, StoredEmbeddings)
    assert found.tolist() == found_too.tolist() == [True] * 6 + [False]
    assert np.array_equal(few, values)
    assert np.array_equal(many, values)


def test_an_array_without_a_copy_is_refused(store):
    with pytest.raises(ValueError, match="copies"):
        np.array(StoredEmbeddings(store, KEYS), copy=False)
