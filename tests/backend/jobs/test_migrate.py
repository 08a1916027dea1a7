"""A project's way to another base backbone: embedded beside, judged where it is another network, and taken by a round."""

import re
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from rq.registry import ScheduledJobRegistry

from backend.jobs import migrate as migrating
from backend.jobs.migrate import migrate
from backend.jobs.reconcile import reconcile
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from backend.learning.slots import slot_order
from backend.project import embedding, session
from backend.project.migration import way_to_go
from backend.project.outcome import describe_migration
from backend.queue.work import EMBED
from model.backbone import BackboneSpec
from model.backbone_note import OLD_PREPROCESSING
from model.backbone_store import About
from model.metrics import ENOUGH
from model.networks import network
from tests.backend.jobs.made_up import Colours

IMAGES = 48
OLD = BackboneSpec("resnet50", None, OLD_PREPROCESSING, "float32")
LIBRARY, OTHER, THIRD = "the library's", "other.pth", "third.pth"  # weights
MARK = 5  # the dimension in which embeddings say by which backbone they were made


class Eyes(Colours):
    """In the place of a backbone: the mean colour of an image, or of a blind one nothing that tells classes apart."""

    seen: ClassVar[Counter] = Counter()  # how often each image was embedded, by backbone

    def __init__(self, spec, _cache=None, blind=()):
        self.spec, self.blind = spec, source(spec) in blind

    def embed(self, images):
        """Embeddings of images, uint8 (n, H, W, 3): float32 (n, width)."""
        colours = images.mean((1, 2)).astype(np.float32) / 255
        Eyes.seen.update((self.spec, tuple(row)) for row in colours.round(5).tolist())
        found = np.zeros((len(colours), network(self.spec.network).width), np.float32)
        found[:, :3] = colours * ([0, 1, 0] if self.blind else 1)
        found[:, 3], found[:, MARK] = 1, mark(self.spec)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def mark(spec):
    """A number for each backbone."""
    return 0.5 + 0.5 * ["float32", "bfloat16"].index(spec.arithmetic) + (source(spec) != LIBRARY)


def source(spec):
    """Which weights a backbone has."""
    return spec.weights.name if spec.weights else LIBRARY


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """How often each backbone has seen each image."""
    monkeypatch.setattr(Eyes, "seen", Counter())
    monkeypatch.setattr("model.arithmetic.fastest", lambda: "bfloat16")
    monkeypatch.setattr(embedding, "get_backbone", Eyes)
    return lambda: Eyes.seen


@pytest.fixture
def old(make_place, monkeypatch):
    """A project as the version before left it: embeddings of its kind, and no note of anything else."""
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    with monkeypatch.context() as before:
        before.setattr(session, "wanted_base", lambda *_: OLD)
        place.first = place.run(run_round)["version"]
        embed_all(place)
    forget_notes(place)
    label_slots(place, ENOUGH)
    return place


@pytest.fixture
def current(make_place):
    """A project of this version, labelled so far that backbones can be judged."""
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    place.first = place.run(run_round)["version"]
    embed_all(place)
    label_slots(place, ENOUGH)
    return place


def label_slots(place, count):
    """Label the tasks of the first random slots."""
    place.label(*slot_order(np.array(place.tasks, np.int64))[:count].tolist())


def embed_all(place):
    """What the embed job does."""
    with place.session() as s:
        s.sync()
        embedding.embed(s, [row for rows in embedding.unembedded(s) for row in rows])


def forget_notes(place):
    """Leave of a DATA_DIR what the version before would have written."""
    (place.settings.data_dir / "arithmetic.json").unlink(missing_ok=True)
    for note in (place.settings.data_dir / "projects" / str(place.project) / "backbones").glob("*.json"):
        note.unlink()


def backbone(place):
    """The spec of the live version's backbone."""
    with place.session() as s:
        return s.backbones.spec(s.versions.about(s.state.live)["backbone"])


def want(place, wish, force=False):
    """What `connect --backbone` leaves in the state."""
    with place.session() as s, s.edit() as state:
        state.backbone = f"resnet50={weights_file(place, wish)}" if wish else ""
        state.forced = force


def weights_file(place, name):
    """A file that stands for other weights."""
    path = place.settings.data_dir / name
    path.write_text(name)
    return path


def due(place):
    """Whether the project is to go to another backbone."""
    with place.session() as s:
        return way_to_go(s) is not None


def waits(place, kind):
    """Whether a job of that kind waits for a worker."""
    return any(job.id.startswith(f"{kind}-") for job in place.work.active(place.project))


def blind(monkeypatch, *weights):
    """Let backbones with these weights see nothing that tells classes apart."""
    monkeypatch.setattr(embedding, "get_backbone", lambda spec, _: Eyes(spec, blind=weights))


def marks(place):
    """By which backbones the embeddings in each folder of the project were made."""
    with place.session() as s:
        keys = [row.key for row in s.index.rows()]
        folders = [path.name for path in (s.learned.folder / "embeddings").iterdir()]
        found = {}
        for name in folders:
            values, there = s.backbones.embeddings(name).get(keys)
            values = values[there] / values[there][:, 3:4]
            found[name] = set(values[:, MARK].round(1).tolist())
        return found


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
    monkeypatch.setattr(migrating, "embed", lambda s, rows, _: embedding.embed(s, rows[:10]))
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
    monkeypatch.setattr(migrating, "embed", lambda s, rows, _: embedding.embed(s, rows[:10]))
    told = old.run(migrate)
    assert (told["done"], told["total"]) == (10, IMAGES)
    assert "10 of 48 images embedded" in describe_migration(told, old.project)
    assert not waits(old, "migrate")
    assert f"migrate-{old.project}-1" in ScheduledJobRegistry(EMBED, old.work.redis).get_job_ids()


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


def test_it_is_judged_again_once_labels_have_doubled(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    current.run(migrate)
    with current.session() as s, s.edit() as state:
        state.migration["labels"] = ENOUGH // 2
    assert due(current)


def test_it_is_judged_again_where_another_one_was_wished_meanwhile(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    current.run(migrate)
    want(current, "")
    assert not due(current), "it has that one"
    want(current, THIRD)
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


def test_too_few_random_slots_are_told(make_place):
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    place.run(run_round)
    label_slots(place, 6)
    want(place, OTHER)
    found = place.run(migrate)
    assert not found["promoted"]
    assert f"too few random slots yet (it takes {ENOUGH})" in describe_migration(found, place.project)


def test_a_project_without_labels_takes_the_wanted_one(make_place):
    place = make_place(IMAGES)
    place.run(run_round)
    want(place, OTHER)
    assert place.run(migrate)["promoted"]
    place.run(run_round)
    assert backbone(place).weights.name == OTHER


def test_a_project_without_a_version_begins_with_the_wanted_one(make_place):
    place = make_place(IMAGES)
    want(place, OTHER)
    assert not due(place)
    place.run(run_round)
    assert backbone(place).weights.name == OTHER


def test_a_retrained_backbone_of_the_version_before_is_not_left_blindly(old, monkeypatch):
    blind(monkeypatch, LIBRARY)
    with old.session() as s:
        file = s.learned.folder / "made.safetensors"
        file.write_bytes(b"weights")
        s.backbones.adopt(file, "retrained", About("last", ()), OLD)
        s.sync()
        s.use_backbone("retrained")
        monkeypatch.setattr(embedding, "get_backbone", Eyes)
        embedding.embed(s, [row for rows in embedding.unembedded(s) for row in rows])
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


def test_a_backbone_that_was_retrained_from_the_wanted_one_is_what_is_wanted(current):
    with current.session() as s:
        file = s.learned.folder / "made.safetensors"
        file.write_bytes(b"weights")
        s.backbones.adopt(file, "retrained", About("last", ()))
        with s.edit() as state:
            state.promoting = "retrained"
    current.run(run_round)
    assert backbone(current).weights is not None
    assert not due(current)


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
    def meanwhile(s, rows, _):
        embedding.embed(s, rows[:images])
        roll_back(old.project, old.first)

    old.run(run_round)
    with monkeypatch.context() as slow:
        slow.setattr(migrating, "embed", meanwhile)
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


def test_a_wish_that_changes_while_it_is_judged_is_heeded(current, monkeypatch):
    want(current, OTHER, force=True)
    decide = migrating._decide

    def meanwhile(s, way):
        found = decide(s, way)
        want(current, "")
        return found

    monkeypatch.setattr(migrating, "_decide", meanwhile)
    assert current.run(migrate) is None
    assert not current.state.promoting


def test_a_wish_that_is_given_up_on_the_way_is_forgotten(current, monkeypatch):
    with monkeypatch.context() as slow:
        slow.setattr(migrating, "embed", lambda s, rows, _: embedding.embed(s, rows[:10]))
        want(current, OTHER)
        current.run(migrate)
    assert current.state.migration["done"] == 10
    want(current, "", force=True)
    current.run(reconcile)
    assert (current.state.migration, current.state.forced) == ({}, False)


def test_a_wish_whose_file_is_out_of_reach_for_a_while_is_not_forgotten(current):
    want(current, OTHER, force=True)
    file = current.settings.data_dir / OTHER
    file.rename(file.with_name("elsewhere"))
    current.run(reconcile)
    current.run(migrate)
    file.with_name("elsewhere").rename(file)
    assert current.state.forced
    assert current.run(migrate)["promoted"]


def test_nor_is_what_was_embedded_for_it_removed(current, seen, monkeypatch):
    want(current, OTHER)
    with monkeypatch.context() as slow:
        slow.setattr(migrating, "embed", lambda s, rows, _: embedding.embed(s, rows[:10]))
        current.run(migrate)
    file = current.settings.data_dir / OTHER
    file.rename(file.with_name("elsewhere"))
    current.run(run_round)
    file.with_name("elsewhere").rename(file)
    current.run(migrate)
    assert set(seen().values()) == {1}, "no network sees an image twice"


def test_a_wanted_backbone_whose_file_is_gone_costs_itself_alone(current, caplog):
    want(current, OTHER)
    (current.settings.data_dir / OTHER).unlink()
    assert current.run(run_round)["labels"] == ENOUGH
    assert backbone(current).weights is None
    assert "other.pth is no file" in caplog.text
    assert not due(current)


def test_a_live_backbone_whose_weights_are_gone_is_left_unjudged_and_that_is_told(current):
    want(current, OTHER, force=True)
    current.run(migrate)
    current.run(run_round)
    want(current, THIRD)
    (current.settings.data_dir / OTHER).unlink()
    current.run(run_round)
    assert backbone(current).weights.name == THIRD
    assert describe_migration(current.state.migration, current.project) == (
        "to ResNet50 with third.pth: taken without being judged, since the weights of ResNet50 with other.pth are gone"
    )
    told = current.state.migration
    current.run(run_round)
    assert current.state.migration == told
