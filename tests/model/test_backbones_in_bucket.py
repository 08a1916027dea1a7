"""The backbones of one project on several machines that share a bucket."""

from pathlib import Path

import numpy as np
import pytest

from model.backbone_note import BackboneNote, note_file, write_note
from model.backbone_store import About, BackboneStore, kept_embeddings
from model.networks import network
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import WeightsError
from model.storage.mirror import Mirror
from tests.model.test_backbone_store import OLD, WANTED, adopt, weights_file

WIDTH = network("resnet50").width
ZEROS = np.zeros((1, WIDTH), np.float32)


@pytest.fixture
def machine(bucket, tmp_path):
    """Makes the store of a machine, as a process of its own sees it."""

    def make(name, wanted=WANTED):
        mirror = Mirror(bucket, tmp_path / name).within("project")
        return BackboneStore(mirror.folder, wanted, mirror=mirror)

    return make


def resnet50(file: Path) -> BackboneSpec:
    return BackboneSpec.of("resnet50", file, "bfloat16")


def test_a_backbone_that_was_retrained_on_one_machine_is_loaded_on_another(machine, tmp_path):
    here, there = machine("here"), machine("there")
    assert not there.has("other")
    adopt(here, tmp_path, "other", (3, 1))
    assert there.has("other")
    found = there.spec("other")
    assert found.weights.read_bytes() == b"weights"
    assert found.weights.is_relative_to(tmp_path / "there")
    assert there.about("other") == About("last", (3, 1))
    assert there.retrained_from("other") == there.wanted_name
    assert there.unseen("other", np.array([1, 2])).tolist() == [False, True]


def test_whether_it_can_be_loaded_is_told_without_fetching_it(machine, tmp_path):
    adopt(machine("here"), tmp_path, "other")
    assert machine("there").has("other")
    assert not list((tmp_path / "there").rglob("*.safetensors"))


def test_a_backbone_whose_upload_was_cut_off_is_not_there(machine, tmp_path, monkeypatch):
    put = Mirror.put
    monkeypatch.setattr(Mirror, "put", lambda self, name, path=None: cut_off() if path else put(self, name))
    with pytest.raises(KeyboardInterrupt):
        adopt(machine("here"), tmp_path, "other")
    for name in ("here", "there"):
        assert not machine(name).has("other")
        with pytest.raises(WeightsError, match="gone"):
            machine(name).spec("other")


def cut_off():
    raise KeyboardInterrupt


def test_weights_that_were_thrown_away_or_cut_short_here_are_fetched_again(machine, tmp_path):
    here = machine("here")
    adopt(here, tmp_path, "other")
    copy = here.spec("other").weights
    copy.write_bytes(b"wei")
    assert here.spec("other").weights.read_bytes() == b"weights"
    copy.unlink()
    assert here.spec("other").weights.read_bytes() == b"weights"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_base_from_a_file_is_loaded_where_the_file_is_not(machine, tmp_path, suffix):
    file = weights_file(tmp_path / f"mine{suffix}")
    here = machine("here", resnet50(file))
    name = here.wanted_name
    here.embeddings(name).add([1], ZEROS)
    assert here.spec(name).weights == file
    content = file.read_bytes()
    file.unlink()
    there = machine("there", WANTED)
    found = there.spec(name)
    assert (found.weights.read_bytes(), found.weights.suffix) == (content, suffix)
    assert backbone_name(found) == name
    assert there.embeddings(name).missing([1]) == []


def test_a_wish_for_a_file_is_understood_where_the_file_is_not(machine, tmp_path):
    file = weights_file(tmp_path / "mine.safetensors")
    here = machine("here", resnet50(file))
    here.keep(here.wanted_name)
    file.unlink()
    there = machine("there", resnet50(file))
    assert there.wanted_name == here.wanted_name
    assert there.wanted.weights.is_relative_to(tmp_path / "there")


def test_a_wish_for_a_file_that_held_this_and_that_is_not_guessed(machine, tmp_path):
    for value in (1, 2):
        file = weights_file(tmp_path / "mine.safetensors", value)
        here = machine("here", resnet50(file))
        here.keep(here.wanted_name)
    file.unlink()
    with pytest.raises(WeightsError, match="is no file"):
        machine("there", resnet50(file))


def test_weights_that_did_not_reach_the_bucket_are_put_there_by_the_next_who_has_them(machine, tmp_path, monkeypatch):
    file = weights_file(tmp_path / "mine.safetensors")
    here = machine("here", resnet50(file))
    put = Mirror.put
    with monkeypatch.context() as cut:
        cut.setattr(Mirror, "put", lambda self, name, path=None: cut_off() if path else put(self, name))
        with pytest.raises(KeyboardInterrupt):
            here.embeddings(here.wanted_name)
    assert not machine("there").has(here.wanted_name) or file.exists()
    machine("here", resnet50(file)).embeddings(here.wanted_name)
    file.unlink()
    assert machine("there").has(here.wanted_name)


def test_two_machines_with_the_same_weights_in_other_places_leave_each_others_note(machine, tmp_path, bucket):
    (tmp_path / "elsewhere").mkdir()
    tags = []
    for number, place in enumerate(("mine", "elsewhere/mine") * 2):
        file = weights_file(tmp_path / f"{place}.safetensors")
        store = machine(f"machine{number % 2}", resnet50(file))
        store.embeddings(store.wanted_name)
        tags.append({name: listed.tag for name, listed in bucket.objects().items()})
    assert tags == tags[:1] * 4


def test_the_width_of_embeddings_is_known_on_another_machine(machine, tmp_path, bucket):
    folder = tmp_path / "here" / "project"
    write_note(note_file(folder, "narrow"), BackboneNote(network="narrow", width=4))
    Mirror(bucket, tmp_path / "here").within("project").within("backbones").put("narrow.json")
    assert machine("there").embeddings("narrow").dimensions == 4
    third = Mirror(bucket, tmp_path / "third").within("project")
    assert kept_embeddings(third.folder, "narrow", third).dimensions == 4


def test_a_note_that_is_damaged_here_is_fetched_again(machine, tmp_path):
    here = machine("here")
    adopt(here, tmp_path, "other", (3, 1))
    note = note_file(tmp_path / "here" / "project", "other")
    note.write_bytes(b"x" * note.stat().st_size)
    assert here.about("other") == About("last", (3, 1))


def test_what_nobody_needs_is_collected_from_the_bucket_and_from_here(machine, tmp_path, bucket):
    here, there = machine("here", OLD), machine("there")
    for name in ("a", "b"):
        adopt(here, tmp_path, name)
        here.embeddings(name).add([1], ZEROS)
        there.embeddings(name)
        there.spec(name)
    assert there.collect(["a"]) == ["b"]
    assert not [name for name in bucket.objects() if name.split("/")[2].partition(".")[0] == "b"]
    assert not [path for path in (tmp_path / "there").rglob("b*") if path.stem == "b"]
    assert (machine("here").has("a"), machine("here").has("b")) == (True, False)
    assert machine("here").embeddings("a").missing([1]) == []
    assert there.collect(["a"]) == []


def test_all_backbones_go_with_the_project(machine, tmp_path, bucket):
    here = machine("here")
    adopt(here, tmp_path, "a")
    here.embeddings("a").add([1], ZEROS)
    machine("there").clear()
    assert not bucket.objects()
    assert not machine("here").has("a")
