"""The backbones of a project, and what is kept of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from model.backbone_note import OLD_PREPROCESSING, BackboneNote, note_file, read_note, write_note
from model.backbone_store import About, BackboneStore
from model.networks import network
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import WeightsError

WANTED = BackboneSpec.of("resnet50", None, "bfloat16")
OLD = BackboneSpec("resnet50", None, OLD_PREPROCESSING, "float32")
WIDTH = network("resnet50").width


@pytest.fixture
def store(tmp_path):
    """A store with the library's weights of ResNet50 as its base."""
    return BackboneStore(tmp_path / "project", WANTED)


def adopt(store, tmp_path, name, tasks=()):
    """Take in a file of that name; these tests never load it."""
    (tmp_path / "made").write_bytes(b"weights")
    store.adopt(tmp_path / "made", name, About("last", tasks))


def weights_file(path: Path, value: float = 0) -> Path:
    """A file of weights."""
    save_file({"weight": np.full(3, value, np.float32)}, path)
    return path


def test_the_base_is_always_there(store):
    assert store.wanted_name == backbone_name(WANTED)
    assert store.has(store.wanted_name)
    assert store.spec(store.wanted_name) == WANTED


def test_an_adopted_backbone_is_found_again(store, tmp_path):
    adopt(store, tmp_path, "other", (3, 1))
    assert store.spec("other").weights.read_bytes() == b"weights"
    assert store.about("other") == About("last", (3, 1))
    assert store.retrained_from("other") == store.wanted_name
    assert not (tmp_path / "made").exists()


def test_a_retrained_backbone_keeps_its_preprocessing_and_arithmetic(tmp_path):
    adopt(BackboneStore(tmp_path, OLD), tmp_path, "other")
    found = BackboneStore(tmp_path, WANTED).spec("other")
    assert (found.preprocessing, found.arithmetic) == (OLD.preprocessing, OLD.arithmetic)


def test_only_tasks_a_backbone_has_not_seen_can_judge_it(store, tmp_path):
    adopt(store, tmp_path, "other", (3, 1))
    tasks = np.array([1, 2, 3, 4])
    assert store.unseen("other", tasks).tolist() == [False, True, False, True]
    assert store.unseen(store.wanted_name, tasks).all()


def test_weights_that_are_gone_are_said_to_be(store):
    assert not store.has("other")
    with pytest.raises(WeightsError, match="gone"):
        store.spec("other")


def test_embeddings_of_two_backbones_are_kept_apart(store):
    store.embeddings("a").add([1], np.zeros((1, WIDTH), np.float32))
    assert store.embeddings("a").missing([1]) == []
    assert store.embeddings("b").missing([1]) == [1]


def test_a_base_is_known_after_another_one_is_wanted(tmp_path):
    file = weights_file(tmp_path / "mine.safetensors")
    first = BackboneSpec.of("resnet50", file, "bfloat16")
    before = BackboneStore(tmp_path / "project", first)
    before.embeddings(before.wanted_name)
    assert BackboneStore(tmp_path / "project", WANTED).spec(before.wanted_name) == first


def test_a_base_whose_file_holds_other_weights_by_now_is_gone(tmp_path):
    file = weights_file(tmp_path / "mine.safetensors")
    before = BackboneStore(tmp_path / "project", BackboneSpec.of("resnet50", file, "bfloat16"))
    before.embeddings(before.wanted_name)
    weights_file(file, 1)
    assert not BackboneStore(tmp_path / "project", WANTED).has(before.wanted_name)


def test_a_base_whose_file_was_moved_is_known_by_its_new_place(tmp_path):
    file = weights_file(tmp_path / "mine.safetensors")
    before = BackboneStore(tmp_path / "project", BackboneSpec.of("resnet50", file, "bfloat16"))
    before.embeddings(before.wanted_name)
    moved = BackboneSpec.of("resnet50", file.rename(tmp_path / "moved.safetensors"), "bfloat16")
    BackboneStore(tmp_path / "project", moved).embeddings(before.wanted_name)
    assert BackboneStore(tmp_path / "project", WANTED).spec(before.wanted_name) == moved


def test_embeddings_from_before_notes_are_of_the_old_kind(tmp_path):
    name = f"resnet50-imagenet1k_v1-{OLD_PREPROCESSING}"
    store = BackboneStore(tmp_path, WANTED)
    assert store.spec(name) == OLD
    store.embeddings(name)
    other = weights_file(tmp_path / "mine.safetensors")
    assert BackboneStore(tmp_path, WANTED, other).spec(name) == OLD, "it is noted by now"


def test_embeddings_from_before_notes_by_other_weights_are_of_no_use(tmp_path):
    store = BackboneStore(tmp_path, WANTED, weights_file(tmp_path / "mine.safetensors"))
    assert not store.has(f"resnet50-imagenet1k_v1-{OLD_PREPROCESSING}")


def test_a_retrained_backbone_from_before_notes_is_of_the_old_kind(store, tmp_path):
    folder = tmp_path / "project" / "backbones"
    folder.mkdir(parents=True)
    weights_file(folder / "tuned.safetensors")
    (folder / "tuned.json").write_text(json.dumps({"depth": "last", "tasks": [1, 2]}))
    found = store.spec("tuned")
    assert (found.network, found.preprocessing, found.arithmetic) == ("resnet50", OLD_PREPROCESSING, "float32")
    assert store.about("tuned") == About("last", (1, 2))
    assert store.retrained_from("tuned") == ""


def test_each_network_has_a_store_of_its_width(tmp_path):
    write_note(note_file(tmp_path, "narrow"), BackboneNote(network="narrow", width=4))
    store = BackboneStore(tmp_path, WANTED)
    assert (store.embeddings("narrow").dimensions, store.embeddings(store.wanted_name).dimensions) == (4, WIDTH)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tasks": 3}', '{"width": "x"}', '{"network": 3}', '{"tasks": ["a"]}'])
def test_a_damaged_note_is_none_or_has_what_it_lacks(tmp_path, text):
    (tmp_path / "note.json").write_text(text)
    assert read_note(tmp_path / "note.json") == (BackboneNote() if text == "{}" else None)


def test_what_nobody_needs_is_collected(store, tmp_path):
    for name in ("a", "b"):
        adopt(store, tmp_path, name)
        store.embeddings(name).add([1], np.zeros((1, WIDTH), np.float32))
    store.embeddings(store.wanted_name).add([1], np.zeros((1, WIDTH), np.float32))
    assert store.collect(["a"]) == ["b", store.wanted_name]
    assert (store.has("a"), store.has("b")) == (True, False)
    assert store.embeddings("a").missing([1]) == []
    assert not note_file(tmp_path / "project", "b").exists()
    assert store.collect(["a"]) == []
