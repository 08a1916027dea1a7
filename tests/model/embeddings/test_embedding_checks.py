"""A large shard is looked through once, by whichever process meets it first, until it changes or is found damaged."""

import os

import numpy as np
import pytest

from model.embeddings import embedding_shard
from model.embeddings.embedding_checks import FILE
from model.embeddings.embedding_store import SMALL, EmbeddingStore

WIDTH = 4
KEYS = list(range(SMALL))


@pytest.fixture
def looked_through(monkeypatch):
    """How many blocks of embeddings were looked through so far; what this process remembers of shards is forgotten first."""
    looked = []
    finite_rows = embedding_shard.finite_rows
    monkeypatch.setattr(embedding_shard, "finite_rows", lambda block: looked.append(len(block)) or finite_rows(block))
    return looked


@pytest.fixture
def folder(tmp_path):
    """The folder of a store with one large shard."""
    EmbeddingStore(tmp_path, WIDTH).add(KEYS, np.ones((SMALL, WIDTH)))
    return tmp_path


def opened(folder):
    """The store as another process would find it."""
    embedding_shard._keys.cache_clear()
    store = EmbeddingStore(folder, WIDTH)
    store.refresh()
    return store


def damage(folder, row, stamp=None):
    """Make `row` of the shard NaN; with `stamp`, its times in nanoseconds, as a failing disk does."""
    (shard,) = folder.glob("*.safetensors")
    with shard.open("r+b") as file:
        file.seek(-2 * WIDTH * (SMALL - row), os.SEEK_END)
        file.write(np.float16(np.nan).tobytes())
    if stamp:
        os.utime(shard, ns=stamp)


def times(folder):
    (shard,) = folder.glob("*.safetensors")
    status = shard.stat()
    return status.st_atime_ns, status.st_mtime_ns


def test_it_is_looked_through_once(folder, looked_through):
    assert opened(folder).has(KEYS).all()
    assert sum(looked_through) == SMALL
    assert opened(folder).has(KEYS).all()
    assert sum(looked_through) == SMALL


def test_one_that_changed_is_looked_through_again(folder):
    opened(folder)
    damage(folder, 5)
    assert opened(folder).missing(KEYS) == [5]


def test_damage_that_no_date_tells_is_found_when_it_is_read_and_by_all_from_then_on(folder):
    opened(folder)
    damage(folder, 5, times(folder))
    store = opened(folder)
    assert store.missing(KEYS) == []
    assert np.flatnonzero(~store.get(KEYS)[1]).tolist() == [5]
    assert opened(folder).missing(KEYS) == [5]


def test_a_damaged_one_is_looked_through_each_time(folder):
    damage(folder, 5)
    assert opened(folder).missing(KEYS) == opened(folder).missing(KEYS) == [5]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 3}', None])
def test_a_damaged_note_costs_a_look(folder, looked_through, content):
    opened(folder)
    (folder / FILE).unlink()
    if content is not None:
        (folder / FILE).write_text(content)
    assert opened(folder).has(KEYS).all()
    assert sum(looked_through) == 2 * SMALL


def test_small_shards_which_are_soon_merged_are_not_noted(tmp_path):
    EmbeddingStore(tmp_path, WIDTH).add(KEYS[:-1], np.ones((SMALL - 1, WIDTH)))
    opened(tmp_path)
    assert not (tmp_path / FILE).exists()


def test_shards_that_are_gone_are_forgotten(folder):
    opened(folder)
    (old,) = folder.glob("*.safetensors")
    old.unlink()
    EmbeddingStore(folder, WIDTH).add(KEYS, np.ones((SMALL, WIDTH)))
    opened(folder)
    assert old.name not in (folder / FILE).read_text()
