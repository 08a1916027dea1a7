"""The job that draws the map of all images, and keeps it up to date."""

import numpy as np
import pytest

from backend.jobs.embed import embed
from backend.jobs.mapping import draw_map
from backend.jobs.round import run_round
from backend.records.map import FILE, read_map
from tests.backend.jobs.made_up import photo

pytestmark = pytest.mark.usefixtures("two_versions")


def kept(place):
    with place.session() as session:
        return read_map(session.documents)


def woken(place):
    """Kinds of the jobs that are scheduled or wait."""
    return {job.id.split("-")[0] for job in place.work.active(place.project)} | {
        job_id.split("-")[0] for queue in place.work._queues.values() for job_id in queue.scheduled_job_registry.get_job_ids()
    }


def add(place, count):
    """Import `count` photos more, and embed them."""
    first = len(place.tasks)
    for number in range(first, first + count):
        place.studio.files[f"/data/upload/{number}.png"] = photo(number)
    sent = [{"data": {"image": f"/data/upload/{number}.png"}} for number in range(first, first + count)]
    place.studio.client().request("POST", f"/api/projects/{place.project}/import", json=sent)
    place.tasks = place.studio.task_ids(place.project)
    place.run(embed)


def test_every_image_has_a_place_and_a_guess(place):
    assert place.run(draw_map) == {"images": 24, "drawn": 24}
    drawn = kept(place)
    assert drawn.tasks.tolist() == sorted(place.tasks)
    assert np.isfinite(drawn.places).all()
    right = [drawn.classes[guess] == ("ants", "bees")[n % 2] for n, guess in enumerate(drawn.guesses)]
    assert np.mean(right) > 0.9
    assert ((drawn.confidences > 0) & (drawn.confidences <= 1)).all()
    assert (drawn.version, drawn.backbone != "") == (place.second, True)


def test_look_alikes_lie_together(place):
    place.run(draw_map)
    places = kept(place).places
    red, blue = places[0::2], places[1::2]
    apart = np.linalg.norm(red.mean(axis=0) - blue.mean(axis=0))
    assert apart > 2 * max(red.std(axis=0).max(), blue.std(axis=0).max())


def test_the_map_stays_put_while_few_images_come(place):
    place.run(draw_map)
    before = kept(place)
    add(place, 4)
    assert place.run(draw_map) == {"images": 28, "drawn": 24}
    after = kept(place)
    assert after.places[:24].tolist() == before.places.tolist()
    assert np.isfinite(after.places).all()
    red = np.linalg.norm(after.places[24] - after.places[0:24:2].mean(axis=0))
    blue = np.linalg.norm(after.places[24] - after.places[1:24:2].mean(axis=0))
    assert red < blue


def test_it_is_drawn_anew_once_many_have_come(place):
    place.run(draw_map)
    add(place, 20)
    assert place.run(draw_map) == {"images": 44, "drawn": 44}


def test_a_round_has_the_guesses_of_a_map_renewed_and_draws_none_by_itself(place):
    place.label(4)
    place.run(run_round)
    assert "map" not in woken(place)
    place.run(draw_map)
    place.label(5)
    version = place.run(run_round)["version"]
    assert "map" in woken(place)
    place.run(draw_map)
    assert kept(place).version == version


def test_new_images_come_onto_a_map_by_themselves(place):
    place.run(draw_map)
    add(place, 2)
    assert "map" in woken(place)


@pytest.mark.parametrize("damage", [b"", b"no map", None])
def test_a_damaged_map_is_drawn_again(place, damage):
    place.run(draw_map)
    with place.session() as session:
        path = session.projects.folder(place.project) / FILE
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    assert kept(place) is None
    assert place.run(draw_map) == {"images": 24, "drawn": 24}
    assert kept(place) is not None


def test_before_the_first_version_there_is_nothing_to_draw(place):
    with place.session() as session, session.edit() as state:
        state.live = ""
    assert "ignored" in place.run(draw_map)
    assert kept(place) is None
