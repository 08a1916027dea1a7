"""A project of the version before: its images are embedded anew beside, and then it switches by itself."""

from collections import Counter

import pytest
from rq.registry import ScheduledJobRegistry

from backend.jobs import migrate as migrating
from backend.jobs.migrate import migrate
from backend.jobs.reconcile import reconcile
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from backend.project import embedding
from backend.queue.work import EMBED
from backend.records.outcome import describe_migration
from model.backbone_store import About
from model.networks import network
from tests.backend.jobs.migrate.made_up import (
    IMAGES,
    LIBRARY,
    OLD,
    Eyes,
    backbone,
    blind,
    due,
    embed_a_few,
    embed_all,
    marks,
    waits,
    want,
)


def test_a_project_of_the_version_before_goes_on_with_its_embeddings(old, seen):
    before = Counter(seen())
    old.run(run_round)
    assert old.live() != old.first
    assert backbone(old) == OLD
    assert seen() == before


def test_it_is_embedded_beside_and_then_switches_by_itself(old, seen):
    old.run(reconcile)
    assert waits(old, "migrate")
    found = old.run(migrate)
    assert found["promoted"]
    assert found["upgrade"]
    assert waits(old, "round")
    assert old.live() == old.first, "nothing is switched before a round has published"
    old.run(run_round)
    new = backbone(old)
    assert (new.preprocessing, new.arithmetic) == (network("resnet50").preprocessings[0].name, "bfloat16")
    assert old.live() != old.first
    assert not due(old)
    assert set(seen().values()) == {1}, "no network sees an image twice"


def test_embeddings_of_two_kinds_never_meet(old):
    old.run(migrate)
    old.run(run_round)
    embed_all(old)
    found = marks(old)
    assert len(found) == 2
    assert all(len(kinds) == 1 for kinds in found.values())


def test_rounds_go_on_with_the_live_backbone_meanwhile(old, monkeypatch):
    monkeypatch.setattr(migrating, "lead", embed_a_few)
    old.run(migrate)
    old.run(run_round)
    assert old.live() != old.first
    assert backbone(old) == OLD


def test_a_job_that_is_killed_goes_on_where_it_was(old, seen, monkeypatch):
    class Killed(BaseException):
        """As a process that is gone."""

    class Mortal(Eyes):
        def embed(self, images):
            if sum(count for (spec, _), count in Eyes.seen.items() if spec == self.spec) >= 16:
                raise Killed
            return super().embed(images)

    with monkeypatch.context() as dying:
        dying.setattr(embedding, "get_backbone", Mortal)
        with pytest.raises(Killed):
            old.run(migrate)
    assert backbone(old) == OLD
    assert old.run(migrate)["promoted"]
    assert set(seen().values()) == {1}


def test_a_slice_tells_how_far_it_is_and_lets_other_queues_go_before_the_next(old, monkeypatch):
    monkeypatch.setattr(migrating, "lead", embed_a_few)
    told = old.run(migrate)
    assert (told["done"], told["total"]) == (10, IMAGES)
    assert "10 of 48 images embedded" in describe_migration(told, old.project)
    assert not waits(old, "migrate")
    assert f"migrate-{old.project}-1" in ScheduledJobRegistry(EMBED, old.work.redis).get_job_ids()


def test_a_retrained_backbone_of_the_version_before_is_not_left_blindly(old, monkeypatch):
    blind(monkeypatch, LIBRARY)
    with old.session() as s:
        file = s.learned.folder / "made.safetensors"
        file.write_bytes(b"weights")
        s.backbones.adopt(file, "retrained", About("last", ()), OLD)
        s.sync()
        s.use_backbone("retrained")
        monkeypatch.setattr(embedding, "get_backbone", Eyes)
        embedding.embed_tasks(s, [task for tasks in embedding.unembedded(s) for task in tasks])
        blind(monkeypatch, LIBRARY)
        with s.edit() as state:
            state.promoting = "retrained"
    old.run(run_round)
    assert backbone(old).weights is not None
    found = old.run(migrate)
    assert not found["upgrade"]
    assert not found["promoted"], "it was judged, and is worse"
    old.run(run_round)
    assert backbone(old).weights is not None


def test_a_rollback_to_an_older_backbone_is_not_undone(old):
    old.run(migrate)
    old.run(run_round)
    roll_back(old.project, old.first)
    assert old.live() == old.first
    assert not due(old)
    old.run(reconcile)
    assert not waits(old, "migrate")
    assert f"put back to {old.first}" in describe_migration(old.state.migration, old.project)


@pytest.mark.parametrize("images", [10, IMAGES])
def test_a_rollback_while_images_are_embedded_is_not_undone(old, monkeypatch, images):
    def meanwhile(s, *_):
        embedding.embed_tasks(s, [task for tasks in embedding.unembedded(s) for task in tasks][:images])
        roll_back(old.project, old.first)
        return 1 if any(embedding.unembedded(s)) else None

    old.run(run_round)
    with monkeypatch.context() as slow:
        slow.setattr(migrating, "lead", meanwhile)
        old.run(migrate)
    old.run(migrate)
    assert old.live() == old.first
    assert not old.state.promoting
    assert f"put back to {old.first}" in describe_migration(old.state.migration, old.project)


def test_images_that_nobody_can_read_any_more_keep_a_project_where_it_is(old):
    for number in range(6):
        old.studio.files[f"/data/upload/{number}.png"] = b"no image"
    assert old.run(migrate)["lost"] == 6
    old.run(run_round)
    assert backbone(old) == OLD
    assert "6 that are known cannot be read any more, so it waits" in describe_migration(old.state.migration, old.project)
    want(old, "", force=True)
    assert old.run(migrate)["promoted"]


def test_it_goes_on_once_they_can_be_read_again(old):
    whole = dict(old.studio.files)
    for number in range(6):
        old.studio.files[f"/data/upload/{number}.png"] = b"no image"
    old.run(migrate)
    assert due(old)
    old.studio.files |= whole
    with old.session() as s:
        s.index.set_errors({row.key: None for row in s.index.rows()})
    assert old.run(migrate)["promoted"]


def test_a_paused_project_stays_as_it_is(old):
    with old.session() as s, s.edit() as state:
        state.paused = True
    assert old.run(migrate) == {"ignored": "the project is paused"}
