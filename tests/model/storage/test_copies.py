"""How much of a disk copies may take, and which of them make room."""

import os
import subprocess
import sys

import numpy as np
import pytest

from model.embeddings.embedding_store import EmbeddingStore
from model.storage.copies import in_use, trim
from model.storage.mirror import Mirror

HELD = """
import sys
from pathlib import Path
from model.storage.copies import in_use

with in_use(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def copy(root, name, used, size=1000):
    """A copy that was last used `used` seconds after the beginning of time."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (used, 1))
    return path


@pytest.fixture
def copies(tmp_path):
    """Four copies of two projects, the least recently used first."""
    names = (
        "1/embeddings/a/x.safetensors",
        "2/backbones/b.pth",
        "1/versions/al-1-00000a/head.safetensors",
        "2/embeddings/a/y.safetensors",
    )
    return [copy(tmp_path, name, used) for used, name in enumerate(names, 1)]


def there(copies):
    return [path.exists() for path in copies]


def test_what_was_not_used_for_longest_goes_first_until_the_rest_is_small_enough(copies, tmp_path):
    assert trim(tmp_path, 2500) == 2000
    assert there(copies) == [False, False, True, True]


def test_copies_that_are_small_enough_all_stay(copies, tmp_path):
    assert trim(tmp_path, 4000) == 0
    assert all(there(copies))


def test_notes_files_on_their_way_and_what_is_no_copy_stay(tmp_path):
    names = ("1/backbones/b.json", "1/embeddings/a/.x.part", "1/index.sqlite", "1/finetune/photo.jpg")
    others = [copy(tmp_path, name, 1) for name in names]
    trim(tmp_path, 0)
    assert all(there(others))


def test_what_a_killed_process_left_half_written_goes_after_a_day(tmp_path):
    old, new = copy(tmp_path, "1/embeddings/a/.x.tmp", 1), copy(tmp_path, "1/embeddings/a/.y.tmp", 1)
    os.utime(new)
    trim(tmp_path, 1e9)
    assert there([old, new]) == [False, True]


def test_a_project_that_another_process_uses_keeps_its_copies(copies, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path / "1")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        assert trim(tmp_path, 0) == 2000
        assert there(copies) == [True, False, True, False]
    finally:
        process.communicate()
    assert trim(tmp_path, 0) == 2000


def test_several_may_use_a_project_at_once(copies, tmp_path):
    with in_use(tmp_path / "1"):
        with in_use(tmp_path / "1"):
            pass
        trim(tmp_path, 0)
    assert there(copies) == [True, False, True, False]


def test_embeddings_that_were_thrown_away_are_fetched_again(bucket, tmp_path):
    mirror = Mirror(bucket, tmp_path).within("1").within("embeddings/a")
    store = EmbeddingStore(mirror.folder, 4, mirror)
    store.add([1, 2], np.ones((2, 4)))
    store.refresh()
    with in_use(tmp_path / "1"):
        assert trim(tmp_path, 0) == 0
    assert trim(tmp_path, 0) > 0
    assert store.get([1, 2])[1].all()
    again = EmbeddingStore(mirror.folder, 4, mirror)
    trim(tmp_path, 0)
    again.refresh()
    assert again.get([2])[0].tolist() == [[1, 1, 1, 1]]
