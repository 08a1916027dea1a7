"""Groups of look-alikes, as rounds leave them to be labelled."""

import pytest

from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from backend.learning.groups import LEAST
from backend.project import embedding
from backend.records.groups import Groups
from backend.records.state import Projects
from tests.backend.jobs.made_up import CLASSES, Colours

IMAGES = 80


@pytest.fixture
def large(make_place, monkeypatch):
    """A project of as many photos as make groups, and a round that learned thirty of them."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    place = make_place(IMAGES)
    place.label(*range(30))
    place.run(run_round)
    return place


def groups(place, version=None):
    return Groups(Projects(place.settings.data_dir).documents(place.project)).read(version or place.live())


def colour(place, task):
    return CLASSES[place.tasks.index(task) % 2]


def test_a_round_leaves_groups_of_its_version_with_the_head_s_class(large):
    found = groups(large)
    assert found
    for group in found:
        assert group.name.startswith(large.live())
        assert len(group.tasks) >= LEAST
        assert len(group.confidences) == len(group.tasks)
        assert group.why.startswith(f"like image {group.tasks[0]}")
        assert {colour(large, task) for task in group.tasks} == {group.label}


def test_no_random_slot_and_nothing_that_is_labelled_is_in_one(large):
    with large.session() as session:
        slots = {row.task for row, _, is_slot in session.index.published.queue(large.live(), IMAGES) if is_slot}
    offered = {task for group in groups(large) for task in group.tasks}
    assert slots
    assert not offered & (slots | set(large.tasks[:30]))


def test_what_was_sent_ahead_is_labelled_one_by_one(large):
    sent = groups(large)[0].tasks[1:4]
    with large.session() as session:
        session.ahead.send(sent, "ann")
    large.label(30)
    large.run(run_round)
    assert not set(sent) & {task for group in groups(large) for task in group.tasks}


def test_a_roll_back_brings_back_the_groups_of_its_version(large):
    before = large.live()
    found = groups(large)
    large.label(30, 31)
    large.run(run_round)
    assert groups(large) != found
    roll_back(large.project, before)
    assert large.live() == before
    assert groups(large) == found


def test_groups_go_with_their_version(large):
    first = large.live()
    for number in range(30, 30 + large.settings.keep_versions + 1):
        large.label(number)
        large.run(run_round)
    assert groups(large, first) == []
    assert groups(large)


def test_before_two_classes_are_labelled_there_are_no_groups(make_place, monkeypatch):
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    place = make_place(IMAGES)
    place.run(run_round)
    assert groups(place) == []


def test_another_project_under_the_same_id_has_none_of_the_old(large):
    large.studio.projects[large.project]["created_at"] = "2030-01-01T00:00:00Z"
    before = large.live()
    with large.session() as session:
        session.sync()
    assert groups(large, before) == []
