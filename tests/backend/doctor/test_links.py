"""Each link, broken alone, is named alone, with what was seen and the next step; what depends on it is not looked at."""

import pytest

from backend.doctor.finding import SKIPPED
from backend.queue.sightings import sight
from tests.backend.doctor.breaks import BREAKS


def test_a_healthy_house_has_nothing_to_tell(house):
    assert [(found.link, found.state, found.seen) for found in house.findings() if found.state != "ok"] == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_link_is_named_alone_with_the_next_step(house, name):
    break_it, (link, state, seen, step) = BREAKS[name]
    break_it(house)
    broken = house.broken(project=house.number)
    assert {link: found.state for link, found in broken.items()} == {link: state}
    assert seen in broken[link].seen
    assert step in f"{broken[link].seen} {broken[link].next_step}"


def test_at_least_twenty_links_are_broken_here():
    assert len({link for _, (link, *_) in BREAKS.values()}) >= 20


def test_what_depends_on_a_broken_link_is_skipped_with_the_reason(house):
    house.studio.webhooks.clear()
    (event,) = [found for found in house.findings() if found.link == "event"]
    assert (event.state, event.seen) == (SKIPPED, "not looked at, since webhook comes first")


def test_without_a_connected_project_the_way_to_one_is_told(house):
    house.edit(connected=False)
    assert "al-backend connect --project" in house.broken()["projects"].next_step


def test_a_project_that_somebody_added_by_hand_is_told(house):
    sight(house.redis, 77)
    assert "`al-backend connect --project 77`" in house.broken()["projects"].next_step


def test_a_project_whose_state_is_damaged_is_looked_at_too(house):
    for name in ("project.json", "project.copy.json"):
        (house.projects.folder(house.number) / name).write_text("{")
    assert "are damaged" in house.broken()["connected"].seen


def test_several_annotators_an_image_are_said_and_nothing_is_wrong_with_that(house):
    house.project["maximum_annotations"] = 2
    assert house.broken() == {}
    assert any("half-answered ones come first" in found.seen for found in house.findings())
