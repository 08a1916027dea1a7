"""Another network or other weights: judged beside the live backbone, and taken where better or by force."""

import re

import numpy as np

from backend.jobs import judging
from backend.jobs.migrate import migrate
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.learning.slots import slot_order
from backend.records.outcome import describe_migration
from model.measuring.metrics import ENOUGH
from tests.backend.jobs.migrate.made_up import (
    IMAGES,
    LIBRARY,
    OTHER,
    backbone,
    blind,
    due,
    embed_all,
    label_slots,
    waits,
    want,
)


def test_another_network_that_is_better_is_taken(current, monkeypatch):
    blind(monkeypatch, LIBRARY)
    with current.session() as s:
        s.learned.backbones.embeddings(s.backbone).folder.rename(s.learned.folder / "of sight")
    embed_all(current)
    want(current, OTHER)
    found = current.run(migrate)
    assert found["promoted"]
    assert not found["upgrade"]
    assert found["live"] < found["new"]
    assert found["n"] == ENOUGH
    assert found["unlabelled"]
    current.run(run_round)
    assert backbone(current).weights.name == OTHER
    assert "to ResNet50 with other.pth: macro F1" in describe_migration(current.state.migration, current.project)


def test_another_network_that_is_no_better_is_not_taken_and_that_is_remembered(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    assert due(current)
    found = current.run(migrate)
    assert not found["promoted"]
    assert not due(current)
    current.run(reconcile)
    assert not waits(current, "migrate")
    current.run(run_round)
    assert backbone(current).weights is None
    told = describe_migration(current.state.migration, current.project)
    assert told.startswith("not to ResNet50 with other.pth: macro F1")
    assert re.search(
        rf"`al-backend connect --project {current.project} --backbone resnet50=\S+/other.pth --force` takes it all", told
    )


def test_one_that_has_embedded_nothing_yet_is_judged_on_a_random_part_of_the_images_without_a_label(current, monkeypatch):
    monkeypatch.setattr(judging, "LOOKED_AT", 5)
    want(current, OTHER)
    with current.session() as s:
        s.sync()
        verdict = judging.judge(s, s.backbones.wanted_name)
    left = slot_order(np.array(current.tasks, np.int64))[ENOUGH:]
    assert set(verdict.known.pool.tasks) == {current.tasks[place] for place in left[:5]}
    assert verdict.found.unlabelled


def test_what_it_would_have_taught_is_kept_as_a_version_of_its_own(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    with current.session() as s:
        s.sync()
        verdict = judging.judge(s, s.backbones.wanted_name)
        kept = judging.keep_version(s, verdict)
        assert not verdict.found.promoted
        assert s.learned.backbone_of(kept) == s.backbones.wanted_name
        assert s.versions.load(kept).head.counts.sum() == ENOUGH
        assert s.state.live == current.first


def test_it_is_judged_again_once_labels_have_doubled(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    current.run(migrate)
    with current.session() as s, s.edit() as state:
        state.migration["labels"] = ENOUGH // 2
    assert due(current)


def test_one_that_is_no_better_is_taken_by_force(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    current.run(migrate)
    want(current, OTHER, force=True)
    assert current.run(migrate)["promoted"]
    assert not current.state.forced
    current.run(run_round)
    assert backbone(current).weights.name == OTHER
    assert "taken because of --force" in describe_migration(current.state.migration, current.project)


def test_too_few_labels_are_told(make_place):
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    place.run(run_round)
    label_slots(place, 6)
    want(place, OTHER)
    found = place.run(migrate)
    assert not found["promoted"]
    assert f"too few yet (it takes {ENOUGH})" in describe_migration(found, place.project)
