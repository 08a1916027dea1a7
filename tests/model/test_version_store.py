"""Model versions on disk: whole or absent, in the order of their numbers."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from model.heads.head import Head
from model.version_store import NAME, Version, VersionError, VersionStore, fingerprint

TARGET = {"control": "choice", "classes": ["ants", "bees"]}
HEAD = Head(np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.5, -1], np.float32), 1.25, np.array([4, 2]))


def version(name="al-1-00000a", head=HEAD):
    tasks, labels = np.array([7, 3, 9]), np.array([0, 1, 0])
    return Version(name, 12.5, TARGET, "resnet50-x", "margin", head, tasks, labels, 99, {"macro_f1": 0.5})


def store_of(folder, *numbers):
    store = VersionStore(folder / "versions")
    for n in numbers:
        store.write(version(f"al-{n}-00000a", None))
    return store


def test_a_version_comes_back_as_it_was_written(tmp_path):
    store = store_of(tmp_path)
    store.write(version())
    loaded = store.load("al-1-00000a")
    plain = replace(version(), head=None, tasks=None, labels=None)
    assert replace(loaded, head=None, tasks=None, labels=None) == plain


def test_the_labels_of_a_version_come_back(tmp_path):
    loaded = store_of(tmp_path, 1).load("al-1-00000a")
    assert (loaded.tasks.tolist(), loaded.labels.tolist()) == ([7, 3, 9], [0, 1, 0])


def test_the_head_of_a_version_comes_back(tmp_path):
    store = store_of(tmp_path)
    store.write(version())
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    assert (store.load("al-1-00000a").head.probabilities(rows) == HEAD.probabilities(rows)).all()


def test_a_version_without_a_head_comes_back_without(tmp_path):
    assert store_of(tmp_path, 1).load("al-1-00000a").head is None


def test_a_version_without_labels_comes_back(tmp_path):
    store, none = store_of(tmp_path), np.zeros(0, np.int64)
    store.write(replace(version(head=None), tasks=none, labels=none))
    assert store.load("al-1-00000a").labels.shape == (0,)


def test_the_classes_stand_in_the_order_of_the_target(tmp_path):
    assert store_of(tmp_path, 1).load("al-1-00000a").classes == ["ants", "bees"]


def test_what_is_said_about_a_version_holds_the_number_of_its_labels(tmp_path):
    about = store_of(tmp_path, 1).about("al-1-00000a")
    assert (about["labels"], about["head"], about["metrics"]) == (3, False, {"macro_f1": 0.5})


def test_names_are_sorted_by_number(tmp_path):
    assert store_of(tmp_path, 10, 2, 1).names() == ["al-1-00000a", "al-2-00000a", "al-10-00000a"]


def test_an_absent_folder_holds_no_versions(tmp_path):
    assert VersionStore(tmp_path / "absent").names() == []


def test_the_first_name_has_number_1(tmp_path):
    assert store_of(tmp_path).new_name().startswith("al-1-")


def test_a_new_name_stands_above_those_on_disk(tmp_path):
    assert store_of(tmp_path, 9, 10).new_name().startswith("al-11-")


def test_a_new_name_stands_above_those_taken_elsewhere(tmp_path):
    assert store_of(tmp_path, 3).new_name(["al-41-abcdef", "somebody's own", ""]).startswith("al-42-")


def test_a_new_name_is_a_name(tmp_path):
    assert NAME.fullmatch(store_of(tmp_path, 3).new_name())


def test_two_workers_with_the_same_number_get_different_names(tmp_path):
    assert len({store_of(tmp_path).new_name() for _ in range(20)}) > 1


def test_a_half_written_version_is_invisible(tmp_path):
    store = store_of(tmp_path, 1, 2)
    (store.folder / "al-2-00000a" / "version.json").unlink()
    assert store.names() == ["al-1-00000a"]


def test_a_version_that_cannot_be_written_leaves_nothing(tmp_path):
    store = store_of(tmp_path)
    with pytest.raises(TypeError):
        store.write(replace(version(), metrics={"f1": object()}))
    assert list(store.folder.iterdir()) == []


def test_foreign_folders_are_no_versions(tmp_path):
    store = store_of(tmp_path, 1)
    for name in ("backup", "al-1", "al-1-00000a.bak", "xal-1-00000a"):
        shutil.copytree(store.folder / "al-1-00000a", store.folder / name)
    assert store.names() == ["al-1-00000a"]


def test_a_version_is_never_overwritten(tmp_path):
    store = store_of(tmp_path, 1)
    with pytest.raises(OSError, match="not empty"):
        store.write(replace(version(), strategy="entropy"))
    assert store.about("al-1-00000a")["strategy"] == "margin"


def test_an_unknown_version_is_refused_with_the_names_there_are(tmp_path):
    with pytest.raises(VersionError, match=r"'al-9-ffffff'.*al-1-00000a, al-2-00000a"):
        store_of(tmp_path, 1, 2).load("al-9-ffffff")


def test_an_unknown_version_among_none_says_that_there_is_none(tmp_path):
    with pytest.raises(VersionError, match="none yet"):
        store_of(tmp_path).about("al-9-ffffff")


def test_a_name_that_leaves_the_folder_is_refused(tmp_path):
    store = store_of(tmp_path, 1)
    (store.folder / "al-1-00000a").rename(tmp_path / "x")
    for read in (store.about, store.load):
        with pytest.raises(VersionError, match=r"\.\./x"):
            read("../x")


@pytest.mark.parametrize("file", ["head.safetensors", "labels.safetensors"])
def test_a_broken_version_is_refused_with_what_to_do(tmp_path, file):
    store = store_of(tmp_path)
    store.write(version())
    (store.folder / "al-1-00000a" / file).write_bytes(b"broken")
    with pytest.raises(VersionError, match=r"'al-1-00000a' cannot be read .*Retrain"):
        store.load("al-1-00000a")


def test_pruning_keeps_the_newest_and_the_needed(tmp_path):
    store = store_of(tmp_path, *range(1, 13))
    store.prune(2, ["al-3-00000a"])
    assert store.names() == ["al-3-00000a", "al-11-00000a", "al-12-00000a"]


def test_pruning_tells_what_it_removed(tmp_path):
    assert store_of(tmp_path, 1, 2, 3).prune(1, ["al-2-00000a"]) == ["al-1-00000a"]


def test_pruning_fewer_than_are_kept_removes_nothing(tmp_path):
    assert store_of(tmp_path, 1, 2).prune(5, []) == []


TASKS, LABELS = np.array([5, 2, 9]), np.array([0, 1, 1])


def test_the_fingerprint_does_not_depend_on_the_order():
    order = [2, 0, 1]
    assert fingerprint(TASKS, LABELS, TARGET) == fingerprint(TASKS[order], LABELS[order], dict(reversed(TARGET.items())))


@pytest.mark.parametrize(
    ("tasks", "labels", "target"),
    [
        (TASKS, np.array([0, 1, 0]), TARGET),
        (np.array([5, 2, 8]), LABELS, TARGET),
        (TASKS[:2], LABELS[:2], TARGET),
        (TASKS, LABELS, TARGET | {"classes": ["bees", "ants"]}),
        (TASKS, LABELS, TARGET | {"control": "other"}),
    ],
    ids=["label", "task", "fewer", "classes", "control"],
)
def test_the_fingerprint_changes_with(tasks, labels, target):
    assert fingerprint(tasks, labels, target) != fingerprint(TASKS, LABELS, TARGET)


def test_new_names_bear_the_mark_of_their_store(tmp_path):
    store = VersionStore(tmp_path, "abc")
    assert NAME.fullmatch(store.new_name())[2].startswith("abc")


def test_a_store_knows_its_own_versions_by_their_mark(tmp_path):
    store = VersionStore(tmp_path, "abc")
    assert [store.owns(name) for name in ("al-3-abc012", "al-3-def012", "al-0", "v1", "")] == [True, False, False, False, False]


def test_versions_on_disk_are_its_own_whatever_their_mark(tmp_path):
    store_of(tmp_path, 4)
    assert VersionStore(tmp_path / "versions", "abc").owns("al-4-00000a")


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", '{"name": "al-1-00000a"}'])
def test_a_version_whose_description_is_damaged_is_refused(tmp_path, content):
    store = store_of(tmp_path, 1)
    (store.folder / "al-1-00000a" / "version.json").write_text(content)
    with pytest.raises(VersionError):
        store.about("al-1-00000a")
