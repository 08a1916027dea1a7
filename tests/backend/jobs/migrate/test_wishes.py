"""Which base a project comes to where nothing is to be judged, or where a wish changes, is given up, or has lost its file."""

from backend.jobs import migrate as migrating
from backend.jobs.migrate import migrate
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.records.outcome import describe_migration
from model.backbone_store import About
from model.measuring.metrics import ENOUGH
from tests.backend.jobs.migrate.made_up import IMAGES, OTHER, THIRD, backbone, blind, due, embed_a_few, want


def test_it_is_judged_again_where_another_one_was_wished_meanwhile(current, monkeypatch):
    blind(monkeypatch, OTHER)
    want(current, OTHER)
    current.run(migrate)
    want(current, "")
    assert not due(current), "it has that one"
    want(current, THIRD)
    assert due(current)


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
        slow.setattr(migrating, "lead", embed_a_few)
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
        slow.setattr(migrating, "lead", embed_a_few)
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
