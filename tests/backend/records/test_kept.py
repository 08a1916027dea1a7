"""What was learned of a project, as those find it who only look at it: on a disk, or on another machine."""

import pytest

from backend.project.sharing import projects_of
from backend.queue.redis_server import redis_url
from backend.records.kept import keep_weights, note_of, versions_of
from model.backbone_note import BackboneNote
from model.backbone_store import BackboneStore
from model.networks.backbone import BackboneSpec, backbone_name
from tests.model.test_backbone_store import weights_file
from tests.model.test_version_store import version


@pytest.fixture
def machines(object_store, redis_settings, make_settings, tmp_path):
    """The projects on two machines with one STORE."""
    values = {"store": object_store.new_folder(), "redis_url": redis_url(redis_settings)}
    return [projects_of(make_settings(data_dir=tmp_path / name, **values)) for name in ("here", "there")]


def test_versions_of_one_machine_are_seen_on_another(machines):
    here, there = machines
    versions_of(here, 1, "abc").write(version())
    assert versions_of(there, 1).names() == ["al-1-00000a"]
    assert versions_of(there, 2).names() == []


def test_without_a_store_no_weights_are_kept_and_versions_are_those_on_disk(make_settings, tmp_path):
    projects = projects_of(make_settings())
    versions_of(projects, 1).write(version())
    assert (projects.folder(1) / "versions" / "al-1-00000a" / "version.json").exists()
    assert not keep_weights(projects, 1, BackboneSpec.of("resnet50", weights_file(tmp_path / "mine.safetensors"), "float32"))


def test_the_weights_that_a_person_names_are_kept_for_the_other_machines(machines, tmp_path):
    here, there = machines
    file = weights_file(tmp_path / "mine.safetensors")
    base = BackboneSpec.of("resnet50", file, "float32")
    name = backbone_name(base)
    assert keep_weights(here, 1, base)
    assert not keep_weights(here, 1, BackboneSpec.of("resnet50", None, "float32"))
    file.unlink()
    assert note_of(there, 1, name).weights == str(file)
    assert note_of(there, 1, "unknown") == BackboneNote()
    assert BackboneStore(there.folder(1), base, mirror=there.mirror(1)).wanted_name == name
