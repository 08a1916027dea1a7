"""A project comes to another backbone: by itself after an upgrade of the plugin, and to other weights only if they are better.

The project begins as the version before left it: embeddings of centre crops in float32, and no note on them. Every queue slot
is a random one. The tests of this file build on each other and run in their order.
"""

import json
import os
import signal

import pytest
import torch
from rq import Worker

from backend.queue.work import EMBED
from backend.records.state import ARITHMETIC, Projects
from model.backbone_note import OLD_PREPROCESSING
from model.embeddings.embedding_shard import read_keys
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.torch_backbone import load_resnet, save_module
from tests.backend.commands.test_up import children
from tests.e2e.conftest import Annotator, first, second_plugin, wait_until

pytestmark = pytest.mark.soak
CLASSES = ["ants", "bees"]
IMAGES, LABELS = 200, 60


@pytest.fixture(scope="module")
def old(weights):
    """What the version before made embeddings with."""
    return BackboneSpec("resnet50", weights, OLD_PREPROCESSING, "float32")


@pytest.fixture(scope="module")
def poor(old, tmp_path_factory):
    """A file of weights whose last stage had noise added."""
    path = tmp_path_factory.mktemp("weights") / "poor.safetensors"
    network, noise = load_resnet(old), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in network.layer4.parameters():
            if values.ndim == 4:
                values += 8 * values.std() * torch.randn(values.shape, generator=noise).to(values.device)
    save_module(network, old, path)
    return path


@pytest.fixture(scope="module")
def studio(house, tmp_path_factory):
    """A second plugin on the same Label Studio."""
    with second_plugin(house, tmp_path_factory.mktemp("migration"), EXPLORE="1", QUEUE_SIZE="20") as studio:
        yield studio


@pytest.fixture(scope="module")
def project(studio, insects, old):
    """A project with labels on the first random slots, whose queue and embeddings are as the version before made them."""
    project = studio.project("Migration", first(insects, 0, IMAGES), CLASSES)
    studio.label_first_slots(project, insects, LABELS)
    with Projects(studio.settings.data_dir).edit(project) as state:
        state.promoting = backbone_name(old)
    studio.cli("connect", "--project", str(project))
    assert backbone(studio, project) == backbone_name(old)
    studio.plugin.stop()
    (studio.settings.data_dir / ARITHMETIC).unlink()
    for note in (folder(studio, project) / "backbones").glob("*.json"):
        note.unlink()
    return project


def folder(studio, project):
    """Where everything about the project lies."""
    return Projects(studio.settings.data_dir).folder(project)


def told(studio, project):
    """What `status` tells of the project."""
    return next(p for p in json.loads(studio.cli("status", "--json"))["projects"] if p["project"] == project)


def backbone(studio, project):
    """The live version's backbone."""
    return studio.version(project, studio.live(project)).backbone


def outcome(studio, project, before):
    """What came of the last migration, None while it is under way or still the one to `before`."""
    found = Projects(studio.settings.data_dir).read(project).migration
    return found if found["backbone"] != before and "promoted" in found else None


def embedded(studio, project, name):
    """How many rows the shards of a backbone hold."""
    return sum(len(read_keys(path, 2048)) for path in (folder(studio, project) / "embeddings" / name).glob("[!.]*.safetensors"))


def migrating(studio, project):
    """Whether the job that embeds beside is at it."""
    jobs = told(studio, project)["jobs"]
    return any(job["id"].startswith("migrate") and job.get("step") == "embedding images" for job in jobs)


def kill_embedder(studio):
    """Kill the process of the job that embeds."""
    workers = [worker for worker in Worker.all(connection=studio.redis) if EMBED in worker.queue_names()]
    for process in {pid for worker in workers for pid in children(worker.pid)}:
        os.kill(process, signal.SIGKILL)


def test_after_an_upgrade_the_queue_goes_on_and_a_killed_job_is_taken_up_again(studio, project, old):
    live = studio.live(project)
    studio.plugin.start()
    wait_until(lambda: migrating(studio, project), 180, "images are embedded beside")
    assert studio.live(project) == live
    assert Annotator(studio.admin).next(project)["id"] == studio.queue(project, live)[0]
    kill_embedder(studio)
    wait_until(lambda: backbone(studio, project) != backbone_name(old), 900, "a round uses the new embeddings")
    found = told(studio, project)
    assert found["migration"]["upgrade"]
    assert found["migration"]["backbone"] == found["backbone"]["name"] == backbone(studio, project)
    assert found["backbone"]["preprocessing"] != OLD_PREPROCESSING


def test_each_image_is_embedded_once_more_and_no_more(studio, project, old):
    assert embedded(studio, project, backbone(studio, project)) == IMAGES
    assert embedded(studio, project, backbone_name(old)) == IMAGES, "the version before is kept, and can be returned to"


def test_other_weights_that_are_worse_are_not_used(studio, project, poor):
    before = backbone(studio, project)
    studio.cli("connect", "--project", str(project), "--backbone", f"resnet50={poor}")
    found = wait_until(lambda: outcome(studio, project, before), 900, "the other weights are judged")
    assert not found["promoted"]
    assert found["new"] < found["live"]
    assert "not to ResNet50 with poor.safetensors: macro F1" in studio.cli("status")
    studio.cli("retrain", "--project", str(project))
    assert backbone(studio, project) == before


def test_they_are_used_by_force(studio, project, poor):
    before = backbone(studio, project)
    studio.cli("connect", "--project", str(project), "--backbone", f"resnet50={poor}", "--force")
    wait_until(lambda: backbone(studio, project) != before, 900, "a round uses the other weights")
    assert told(studio, project)["backbone"]["title"] == "ResNet50 with poor.safetensors"


def test_a_rollback_from_them_stays(studio, project):
    versions = told(studio, project)["versions"]
    better = next(
        v["name"] for v in reversed(versions) if "whole" in v["backbone"] and v["backbone"] != versions[-1]["backbone"]
    )
    studio.cli("rollback", "--project", str(project), "--to", better)
    assert studio.live(project) == better
    studio.cli("retrain", "--project", str(project))
    assert backbone(studio, project) == studio.version(project, better).backbone
    assert f"put back to {better}" in studio.cli("status")
