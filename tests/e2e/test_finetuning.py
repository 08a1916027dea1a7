"""ResNet50 retrained by a job: promoted where it is better, kept aside where it is not, and nobody waits for it.

The project starts with a backbone of its own whose last stage is disturbed, so that one retrained from the base weights must
be better, and a second one cannot be. Every queue slot is a random one. The tests of this file build on each other and run in
their order.
"""

import json
import os
import signal

import pytest
import torch
from rq import Worker

from backend.queue.work import FINETUNE
from backend.records.state import Projects
from model.backbone_store import About, BackboneStore
from model.measuring.metrics import ENOUGH
from model.networks.torch_backbone import load_resnet, save_module
from tests.backend.commands.test_up import children
from tests.e2e.conftest import Annotator, first, second_plugin, wait_until
from tests.model.made_up import resnet50

pytestmark = pytest.mark.soak
CLASSES = ["ants", "bees"]
IMAGES, LABELS = 200, 100


@pytest.fixture(scope="module")
def poor_weights(weights, tmp_path_factory):
    """ResNet50 whose last stage had noise added."""
    path = tmp_path_factory.mktemp("weights") / "poor.safetensors"
    network = load_resnet(resnet50(weights))
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in network.layer4.parameters():
            if values.ndim == 4:
                values += 8 * values.std() * torch.randn(values.shape, generator=noise).to(values.device)
    return path, save_module(network, resnet50(weights), path)


@pytest.fixture(scope="module")
def poor(poor_weights):
    """Its name."""
    return poor_weights[1]


@pytest.fixture(scope="module")
def studio(house, tmp_path_factory):
    """A second plugin on the same Label Studio."""
    with second_plugin(house, tmp_path_factory.mktemp("finetuning"), EXPLORE="1", KEEP_VERSIONS="2", QUEUE_SIZE="20") as studio:
        yield studio


@pytest.fixture(scope="module")
def project(studio, insects, poor_weights, weights):
    """A project with labels on the first random slots and a poor backbone, to be fine-tuned as labels grow."""
    project = studio.project("Finetuning", first(insects, 0, IMAGES), CLASSES)
    studio.label_first_slots(project, insects, LABELS)
    projects = Projects(studio.settings.data_dir)
    BackboneStore(projects.folder(project), resnet50(weights)).adopt(*poor_weights, About())
    with projects.edit(project) as state:
        state.promoting = poor_weights[1]
    studio.cli("connect", "--project", str(project), "--finetune", "last")
    return project


def told(studio, project):
    """What `status` tells of the project."""
    return next(p for p in json.loads(studio.cli("status", "--json"))["projects"] if p["project"] == project)


def running(studio, project):
    """The fine-tuning job that runs, or None."""
    jobs = told(studio, project)["jobs"]
    return next((job for job in jobs if job["id"].startswith("finetune") and job["status"] == "started"), None)


def backbone(studio, project):
    """The live version's backbone."""
    return studio.version(project, studio.live(project)).backbone


def at_work(studio):
    """The process of the fine-tuning job."""
    workers = [worker for worker in Worker.all(connection=studio.redis) if worker.queue_names() == [FINETUNE]]
    return {pid for worker in workers for pid in children(worker.pid) if niceness(pid) > niceness(worker.pid)}


def niceness(pid):
    """Of a process; that of one that has ended is least."""
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return -99


def test_enough_labels_start_it_and_status_tells_epoch_f1_and_time_left(studio, project):
    def judged():
        job = running(studio, project)
        return job if job and job.get("macro_f1") is not None else None

    job = wait_until(judged, 1500, "an epoch is judged")
    assert "fine-tuning" in job["step"]
    assert 0 <= job["macro_f1"] <= 1
    assert 0 < job["seconds_left"] < 3600


def test_rounds_go_on_meanwhile_with_the_old_backbone(studio, project, poor):
    before = studio.live(project)
    studio.cli("retrain", "--project", str(project))
    assert running(studio, project), "the fine-tuning has ended too early to tell"
    assert studio.live(project) != before
    assert backbone(studio, project) == poor


def test_a_killed_job_goes_on_and_a_better_backbone_is_promoted(studio, project, poor):
    (process,) = at_work(studio)
    os.kill(process, signal.SIGKILL)
    log = studio.folder / "plugin.log"
    wait_until(lambda: "goes on where it was" in log.read_text(), 300, "the job is taken up again")
    wait_until(lambda: backbone(studio, project) != poor, 1500, "the new backbone is promoted")
    found = told(studio, project)["finetuned"]
    assert found["promoted"]
    assert found["probability"] >= 0.9
    assert found["new"] > found["live"]
    assert found["n"] >= ENOUGH
    assert backbone(studio, project) == found["backbone"]


def test_f1_is_measured_on_images_that_the_backbone_has_not_seen(studio, project):
    found = told(studio, project)
    live = next(version for version in found["versions"] if version["name"] == found["live"])
    assert live["labels"] == LABELS
    assert live["random_slots"] == found["finetuned"]["n"]


def test_the_queue_of_the_new_backbone_is_served(studio, project):
    queue = studio.queue(project, studio.live(project))
    assert Annotator(studio.admin).next(project)["id"] == queue[0]


def test_a_rollback_reaches_a_version_of_another_backbone(studio, project, poor):
    live, used = studio.live(project), backbone(studio, project)
    older = told(studio, project)["versions"][0]["name"]
    studio.cli("rollback", "--project", str(project), "--to", older)
    assert backbone(studio, project) == poor
    served = Annotator(studio.admin).next(project)["id"]
    studio.cli("rollback", "--project", str(project), "--to", live)
    assert backbone(studio, project) == used
    assert served in studio.queue(project, older)[:2]  # an earlier test has a task open


def test_a_backbone_that_is_no_better_is_kept_and_named_but_not_used(studio, project):
    live = studio.live(project)
    said = studio.cli("retrain", "--project", str(project), "--finetune", "last")  # equal labels: an equal backbone
    found = told(studio, project)["finetuned"]
    assert not found["promoted"]
    assert found["probability"] == 0.5
    assert f"not used, kept as {found['version']}" in said
    assert studio.version(project, found["version"]).backbone == found["backbone"]
    assert studio.live(project) == live


def test_a_rollback_to_it_publishes_a_queue_of_its_own(studio, project):
    kept = told(studio, project)["finetuned"]["version"]
    studio.cli("rollback", "--project", str(project), "--to", kept)
    assert studio.live(project) == kept
    assert len(studio.queue(project, kept)) == 20


def test_backbones_and_embeddings_that_no_version_needs_are_collected(studio, project, poor):
    for _ in range(2):
        studio.cli("retrain", "--project", str(project))
    assert not running(studio, project), "the labels have not grown"
    folder = studio.settings.data_dir / "projects" / str(project)
    needed = {studio.version(project, version["name"]).backbone for version in told(studio, project)["versions"]}
    assert poor not in needed
    assert {path.name for path in (folder / "embeddings").iterdir()} == needed
    assert {path.stem for path in (folder / "backbones").glob("*.safetensors")} == needed
    assert not [path for path in (folder / "finetune").iterdir() if path.is_dir()]
