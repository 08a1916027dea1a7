"""Model versions of several machines in one bucket."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from model.storage.bucket import StoreUnavailable
from model.storage.mirror import Mirror
from model.version_store import VersionError, VersionStore
from tests.model.test_version_store import HEAD, version

NAME = "al-1-00000a"


@pytest.fixture
def stores(bucket, tmp_path):
    """The versions of one project on two machines."""
    mirrors = [Mirror(bucket, tmp_path / name).within("versions") for name in ("here", "there")]
    return [VersionStore(mirror.folder, "abc", mirror) for mirror in mirrors]


def test_a_version_that_was_written_on_one_machine_is_loaded_on_another(stores):
    here, there = stores
    here.write(version())
    assert here.names() == there.names() == [NAME]
    loaded = there.load(NAME)
    assert replace(loaded, head=None, tasks=None, labels=None) == replace(version(), head=None, tasks=None, labels=None)
    assert (loaded.tasks.tolist(), loaded.labels.tolist()) == ([7, 3, 9], [0, 1, 0])
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert (loaded.head.probabilities(rows) == HEAD.probabilities(rows)).all()


def test_a_version_is_known_elsewhere_at_once_though_it_was_asked_for_a_moment_ago(stores):
    here, there = stores
    with pytest.raises(VersionError, match=r"No version 'al-1-00000a' in STORE. There are: none yet"):
        there.about(NAME)
    here.write(version())
    assert there.about(NAME)["labels"] == 3


def test_a_new_name_stands_above_those_of_other_machines(stores):
    here, there = stores
    here.write(version("al-7-00000a"))
    assert there.new_name().startswith("al-8-abc")
    assert there.owns("al-7-00000a")
    assert not there.owns("al-9-00000a")


def test_a_version_that_one_machine_removed_is_gone_from_all(stores, bucket):
    here, there = stores
    for name in (NAME, "al-2-00000a", "al-3-00000a"):
        here.write(version(name))
        there.load(name)
    bucket.write(f"versions/{NAME}/doubts.json", b"{}")
    assert there.prune(1, ["al-2-00000a"]) == [NAME]
    assert not (there.folder / NAME).exists()
    assert not [name for name in bucket.objects() if NAME in name]
    here.names(certain=True)
    with pytest.raises(VersionError, match="al-2-00000a, al-3-00000a"):
        here.load(NAME)


@pytest.mark.parametrize("file", ["version.json", "head.safetensors", "labels.safetensors"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"damaged"), lambda path: path.unlink()])
def test_a_copy_that_is_damaged_or_gone_is_fetched_again(stores, file, damage):
    here, _ = stores
    here.write(version())
    damage(here.folder / NAME / file)
    assert here.load(NAME).head is not None


def test_what_is_damaged_in_the_bucket_is_said_to_be(stores, bucket):
    here, there = stores
    here.write(version())
    bucket.write(f"versions/{NAME}/labels.safetensors", b"damaged")
    with pytest.raises(VersionError, match="Retrain"):
        there.load(NAME)


def test_half_a_version_is_not_there(stores, bucket, monkeypatch):
    here, there = stores
    put = Mirror.put
    monkeypatch.setattr(Mirror, "put", lambda self, name: put(self, name) if name.endswith("head.safetensors") else fail())
    with pytest.raises(StoreUnavailable):
        here.write(version())
    assert list(bucket.objects()) == [f"versions/{NAME}/head.safetensors"]
    assert here.names(certain=True) == there.names() == []
    for store in stores:
        with pytest.raises(VersionError, match="none yet"):
            store.load(NAME)


def fail():
    raise StoreUnavailable("away")


def test_a_version_of_another_machine_is_never_overwritten(stores):
    here, there = stores
    here.write(version())
    with pytest.raises(OSError, match="not empty"):
        there.write(replace(version(), strategy="entropy"))
    assert there.about(NAME)["strategy"] == "margin"


def test_all_versions_go_with_the_project(stores, bucket):
    here, there = stores
    here.write(version())
    there.clear()
    assert not bucket.objects()
    assert here.names(certain=True) == []
    shutil.rmtree(there.folder, ignore_errors=True)
    there.clear()
