"""What lies in the store is not trusted: damaged rows, foreign files and files that may not be read cost themselves alone."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.embeddings import embedding_shard
from model.embeddings.embedding_shard import BLOCK, read_rows
from model.embeddings.embedding_store import EmbeddingStore

WIDTH = 4


def values(n):
    return np.random.default_rng(0).normal(size=(n, WIDTH)).astype(np.float16)


def opened(folder):
    """The store as another process would find it."""
    store = EmbeddingStore(folder, WIDTH)
    store.refresh()
    return store


def shard(folder, keys, embeddings, name="a"):
    """A shard as safetensors itself writes it."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.safetensors"
    save_file({"keys": np.array(keys), "embeddings": np.array(embeddings)}, path)
    return path


def test_an_offset_that_is_no_number_costs_the_shard_alone(tmp_path):
    header = b'{"keys": {"dtype": "I64", "shape": [1], "data_offsets": [1e999, 8]}, "embeddings": {}}'
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    shard(tmp_path, [5], values(1), "b")
    assert opened(tmp_path).missing([5, 6]) == [6]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_missing_and_its_neighbours_are_not(tmp_path, wrong):
    damaged = values(3)
    damaged[1, 2] = wrong
    shard(tmp_path, [5, 6, 7], damaged)
    store = opened(tmp_path)
    assert store.missing([5, 6, 7]) == [6]
    got, found = store.get([5, 6, 7])
    assert found.tolist() == [True, False, True]
    assert np.isfinite(got).all()


def test_a_damaged_row_that_is_embedded_anew_is_found_wherever_its_shard_comes_in_the_order(tmp_path):
    damaged = values(1) * np.nan
    shard(tmp_path, [5], damaged, "0")
    shard(tmp_path, [5], damaged, "z")
    opened(tmp_path).add([5], values(1))
    assert opened(tmp_path).get([5])[1].all()


def test_a_row_damaged_since_the_store_was_opened_is_missing_from_then_on(tmp_path):
    path = shard(tmp_path, [5, 6], values(2))
    store = opened(tmp_path)
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(np.float16(np.nan).tobytes())
    assert store.get([5, 6])[1].tolist() == [True, False]
    assert store.missing([5, 6]) == [6]


def test_compaction_leaves_damaged_rows_behind(tmp_path):
    for n in range(70):
        shard(tmp_path, [n], values(1) * (np.nan if n == 3 else 1), f"{n:02}")
    opened(tmp_path).compact()
    assert opened(tmp_path).missing(list(range(70))) == [3]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


FOREIGN = {
    "no keys": {"embeddings": values(2)},
    "no embeddings": {"keys": np.arange(2)},
    "keys of another type": {"keys": np.arange(2, dtype=np.int32), "embeddings": values(2)},
    "embeddings of another type": {"keys": np.arange(2), "embeddings": values(2).astype(np.float32)},
    "fewer keys": {"keys": np.arange(1), "embeddings": values(2)},
    "keys in two dimensions": {"keys": np.arange(4).reshape(2, 2), "embeddings": values(2)},
    "embeddings in three": {"keys": np.arange(2), "embeddings": values(4).reshape(2, 2, 4)},
    "a number alone": {"keys": np.array(3), "embeddings": np.array(3.0, np.float16)},
    "another width": {"keys": np.arange(2), "embeddings": np.zeros((2, 5), np.float16)},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_gives_nothing_and_costs_nothing(tmp_path, kind):
    shard(tmp_path, [7], values(1), "good")
    save_file(FOREIGN[kind], tmp_path / "foreign.safetensors")
    store = opened(tmp_path)
    assert store.missing([0, 1, 7]) == [0, 1]
    assert store.get([0, 7])[1].tolist() == [False, True]


HEADERS = [
    b"",
    b"\x05",
    b"\xff" * 8,
    (3).to_bytes(8, "little") + b"[1]",
    (2).to_bytes(8, "little") + b"{}",
    (6).to_bytes(8, "little") + b"\xff" * 6,
    (200_000).to_bytes(8, "little") + b"[" * 200_000,
]


@pytest.mark.parametrize("content", HEADERS)
def test_a_file_that_is_none_gives_nothing(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert opened(tmp_path).missing([1]) == [1]


@pytest.mark.parametrize("offsets", [[-16, 0], [0, 16], [2**62, 2**62], ["a", "b"], None])
def test_a_header_that_points_elsewhere_gives_nothing(tmp_path, offsets):
    header = {
        "keys": {"dtype": "I64", "shape": [2], "data_offsets": offsets},
        "embeddings": {"dtype": "F16", "shape": [2, WIDTH], "data_offsets": [16, 32]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"\xff" * 20)
    assert opened(tmp_path).missing([1]) == [1]


def test_a_shard_cut_short_after_the_store_was_opened_is_not_found(tmp_path):
    path = shard(tmp_path, [5, 6], values(2))
    store = opened(tmp_path)
    os.truncate(path, path.stat().st_size - 3)
    assert not store.get([5, 6])[1].any()


def test_a_folder_in_place_of_a_shard_is_left_alone(tmp_path):
    (tmp_path / "a.safetensors").mkdir()
    shard(tmp_path, [7], values(1), "good")
    assert opened(tmp_path).get([7])[1].all()
    assert (tmp_path / "a.safetensors").is_dir()


def test_a_shard_that_may_not_be_read_is_kept_and_said_once(tmp_path, caplog, monkeypatch):
    path = shard(tmp_path, [5], values(1))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(embedding_shard, "_keys", refuse)  # the tests may run as root, who may read everything
    assert opened(tmp_path).missing([5]) == [5]
    assert opened(tmp_path).missing([5]) == [5]
    assert path.exists()
    assert caplog.text.count("Permission denied") == 1


def test_rows_come_in_the_order_asked_for_however_far_apart(tmp_path):
    n = 2 * BLOCK + 5
    table = np.arange(n * WIDTH, dtype=np.float32).reshape(n, WIDTH).astype(np.float16)
    path = shard(tmp_path, np.arange(n), np.minimum(table, 60_000))
    rows = np.array([n - 1, 0, 700, 3, 3, BLOCK, 701])
    assert (read_rows(path, rows, WIDTH) == np.minimum(table, 60_000)[rows]).all()
    assert (read_rows(path, np.arange(n), WIDTH) == np.minimum(table, 60_000)).all()


def test_for_one_row_no_more_is_read_than_that_row_and_the_header(tmp_path, monkeypatch):
    path = shard(tmp_path, np.arange(10_000), np.zeros((10_000, WIDTH), np.float16))
    read, real = [], os.preadv

    def counted(file, buffers, start):
        read.append(sum(map(len, buffers)))
        return real(file, buffers, start)

    monkeypatch.setattr(os, "preadv", counted)
    read_rows(path, np.array([9_000]), WIDTH)
    assert 0 < sum(read) < 1000


def test_a_shard_is_looked_at_once_however_often_the_store_is_opened(tmp_path, monkeypatch):
    shard(tmp_path, [5], values(1))
    opened(tmp_path)
    monkeypatch.setattr(embedding_shard, "_block", None)  # reading embeddings again would fail
    assert opened(tmp_path).missing([5]) == []
