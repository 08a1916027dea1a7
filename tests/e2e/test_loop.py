"""The loop on real parts: an annotator labels through Label Studio's own queue, and the queue follows what is learned.

The tests of this file build on each other and run in their order.
"""

import json
import threading

import numpy as np
import pytest
from sklearn.metrics import f1_score

from backend.bench.label_studio import name_of
from backend.index.index import Index
from backend.learning.places import queue_places
from model.embeddings.images import decode
from model.networks.backbone import load_backbone
from model.version_store import VersionStore
from tests.conftest import every_prediction
from tests.e2e.conftest import QUEUE_SIZE, Annotator, first, wait_until
from tests.model.made_up import resnet50

POOL, UNSEEN, LABELS = 200, 120, 60  # a first round embeds so many, whatever the time
CLASSES = ["ants", "bees"]


class Served:
    """One task served, with the live versions just before and after."""

    def __init__(self, house, project, annotator):
        self.before = house.live(project)
        open_tasks = house.open_tasks(project)
        # Label Studio takes one of the first few at random for each of several people, and none where others have those open
        self.task = annotator.next(project) or wait_until(lambda: annotator.next(project), 30, "a task that nobody has open")
        self.after = house.live(project)
        queue = [t for t in house.queue(project, self.after) if t in open_tasks]
        self.rank = queue.index(self.task["id"]) if self.task["id"] in queue else -1

    @property
    def steady(self):
        """Whether the queue did not switch meanwhile."""
        return self.before == self.after


@pytest.fixture(scope="module")
def project(house, insects):
    """A connected project."""
    project = house.project("Loop", first(insects, 0, POOL), CLASSES)
    house.cli("connect", "--project", str(project))
    return project


@pytest.fixture(scope="module")
def served(house, project, insects):
    """What an annotator was served while labelling 60 images one after the other."""
    annotator = Annotator(house.admin)
    found = []
    for _ in range(LABELS):
        step = Served(house, project, annotator)
        annotator.label(step.task, insects[name_of(step.task)][0])
        found.append(step)
    return found


def test_before_any_label_the_queue_is_published_and_ordered(house, project):
    predictions = every_prediction(house.admin, project)
    assert len(predictions) == QUEUE_SIZE
    assert sorted(p["score"] for p in predictions) == pytest.approx(queue_places(QUEUE_SIZE))
    assert {p["model_version"] for p in predictions} == {house.live(project)}


def test_tasks_are_served_in_the_published_order(served):
    steady = [step.rank for step in served if step.steady]
    assert len(steady) > LABELS / 2
    assert set(steady) == {0}


def test_the_live_version_switched_several_times(served):
    assert len({step.after for step in served}) >= 4


def test_webhooks_alone_started_the_rounds(house, project, served):
    assert len(served) == LABELS
    counters = {key.decode() for key in house.redis.hkeys(f"al:project:{project}")}
    assert "reconcile:generation" not in counters


def test_every_submitted_label_is_in_the_last_version(house, project, served, insects):
    truth = {step.task["id"]: CLASSES.index(insects[name_of(step.task)][0]) for step in served}
    wait_until(lambda: len(house.version(project, house.live(project)).tasks) == LABELS, 120, "the last labels are trained on")
    last = house.version(project, house.live(project))
    assert dict(zip(last.tasks.tolist(), last.labels.tolist(), strict=True)) == truth


def test_macro_f1_on_images_never_shown_is_above_85(house, project, served, insects, weights):
    assert served
    unseen = list(first(insects, POOL, POOL + UNSEEN).values())
    backbone = load_backbone(resnet50(weights))
    embeddings = np.vstack([backbone.embed(backbone.prepare(decode(path.read_bytes(), 10**8))[None]) for _, path in unseen])
    predicted = house.version(project, house.live(project)).head.probabilities(embeddings).argmax(axis=1)
    assert f1_score([CLASSES.index(name) for name, _ in unseen], predicted, average="macro") > 0.85


def test_picks_carry_the_class_and_its_probability_and_random_slots_nothing(house, project, served):
    assert served
    live = house.live(project)
    predictions = [p for p in every_prediction(house.admin, project) if p["model_version"] == live]
    picks = [p["result"][0] for p in predictions if p["result"]]
    assert all(region["value"]["choices"][0] in CLASSES and 0.5 <= region["score"] <= 1 for region in picks)
    index = Index(house.settings.data_dir / "projects" / str(project) / "index.sqlite")
    slots = index.published.slots(live)
    index.close()
    assert {p["task"] for p in predictions if not p["result"]} == slots
    assert len(slots) <= 0.15 * QUEUE_SIZE  # fewer than a tenth, or none, where more than a tenth of the labels were slots


def test_status_tells_version_labels_and_f1_with_its_interval(house, project, served):
    assert served
    found = json.loads(house.cli("status", "--json"))
    mine = next(p for p in found["projects"] if p["project"] == project)
    assert mine["live"] == house.live(project)
    assert mine["tasks"]["labelled"] == LABELS
    version = mine["versions"][-1]
    assert version["labels"] == LABELS
    assert version["random_slots"] > 0
    assert version["interval"][0] <= version["macro_f1"] <= version["interval"][1]
    assert "on the images without a label" in house.cli("status")


@pytest.mark.soak
def test_old_predictions_go_away_without_a_bulk_deletion(house, project, served):
    assert served

    def left() -> list[int]:
        live, open_tasks = house.live(project), house.open_tasks(project)
        return [
            p["task"]
            for p in every_prediction(house.admin, project)
            if p["model_version"] != live and p["task"] not in open_tasks
        ]

    wait_until(lambda: left() == [], 300, "cleaned up, but for what may be open in an editor")  # a last round may yet switch


def test_versions_on_disk_are_bounded_and_listed_in_label_studio(house, project, served):
    assert served
    kept = VersionStore(house.settings.data_dir / "projects" / str(project) / "versions").names()
    assert len(kept) == house.settings.keep_versions
    assert house.live(project) in kept
    backend = house.admin.request("GET", "/api/ml", params={"project": project})[0]
    assert set(kept) <= set(house.admin.request("GET", f"/api/ml/{backend['id']}/versions")["versions"])


def test_a_rollback_changes_what_next_serves(house, project, served):
    assert served
    annotator = Annotator(house.admin)
    newest = house.live(project)
    older = json.loads(house.cli("status", "--json"))["projects"]
    target = next(p for p in older if p["project"] == project)["versions"][0]["name"]
    before = [t for t in house.queue(project, newest) if t in house.open_tasks(project)]
    house.cli("rollback", "--project", str(project), "--to", target)
    assert house.live(project) == target
    queue = house.queue(project, target)
    assert queue != before
    assert annotator.next(project)["id"] == next(t for t in queue if t in house.open_tasks(project))


def test_a_rollback_to_an_unknown_version_names_those_there_are(house, project):
    assert house.live(project) in house.cli("rollback", "--project", str(project), "--to", "al-99-aaaaaa", ok=False)


def test_two_annotators_at_once_get_different_tasks_in_order(house, project, insects):
    annotators = [Annotator(house.admin), Annotator(house.admin)]
    open_tasks = house.open_tasks(project)
    queue = [t for t in house.queue(project, house.live(project)) if t in open_tasks]
    tasks = [annotator.next(project) for annotator in annotators]
    # the annotator of the rollback test still has the first task open: it stays locked for that one
    assert [task["id"] for task in tasks] == queue[1:3]
    for annotator, task in zip(annotators, tasks, strict=True):
        annotator.label(task, insects[name_of(task)][0])


@pytest.mark.soak
def test_two_annotators_at_full_speed_never_get_random_order(house, project, insects):
    ranks, versions = [], set()

    def work():
        annotator = Annotator(house.admin)
        for _ in range(12):
            step = Served(house, project, annotator)
            versions.add(step.after)
            if step.steady:
                ranks.append(step.rank)
            annotator.label(step.task, insects[name_of(step.task)][0])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ranks) >= 12
    assert len(versions) >= 2
    assert max(ranks) <= 5, f"of {QUEUE_SIZE} places, ranks served were {ranks}"  # two open tasks, two locks, one race
    assert min(ranks) >= 0
