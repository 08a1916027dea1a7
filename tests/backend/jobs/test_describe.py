"""What people read of a version under Settings > Model of Label Studio."""

import pytest

from backend.jobs.clean import clean
from backend.jobs.reconcile import reconcile
from backend.labelstudio.wiring import TITLE
from backend.project import embedding
from tests.backend.jobs.conftest import IMAGES
from tests.backend.jobs.made_up import Colours
from tests.label_studio_in_memory import Fault

pytestmark = pytest.mark.usefixtures("two_versions")


@pytest.fixture
def place(make_place, monkeypatch, answering):
    """A connected project whose plugin is at the address that answers."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    return make_place(IMAGES, BACKEND_URL=answering, PORT=answering.rpartition(":")[2])


@pytest.fixture
def wired(place, answering):
    """What Label Studio has of the ML backend."""
    return place.studio._add(
        place.studio.backends, {"project": place.project, "url": answering, "title": TITLE, "description": ""}
    )


@pytest.mark.parametrize("job", [clean, reconcile])
def test_the_description_names_the_live_version_and_says_how_good_it_is(place, wired, job):
    place.run(job)
    assert wired["description"].startswith(f"{place.second} is live. Macro F1: ")


def test_the_title_stays_for_a_version_of_its_name_would_have_every_next_task_predicted(place, wired):
    place.run(clean)
    assert wired["title"] == TITLE


def test_a_description_that_is_right_is_not_written_again(place, wired):
    place.run(clean)
    assert wired["description"]
    asked = len(place.studio.requests)
    place.run(clean)
    assert [r.path for r in place.studio.requests[asked:] if r.method == "PATCH" and "/api/ml/" in r.path] == []


def test_a_backend_that_people_have_deleted_is_not_missed(place, monkeypatch):
    monkeypatch.setattr("backend.jobs.clean.HELD_SECONDS", -1)
    assert place.run(clean) == 8


def test_where_label_studio_cannot_reach_us_the_clean_up_goes_on(place, wired, server, monkeypatch):
    monkeypatch.setattr("backend.jobs.clean.HELD_SECONDS", -1)
    server.shutdown()
    server.server_close()
    assert place.run(clean) == 8
    assert wired["description"] == ""


def test_a_description_that_was_not_taken_is_tried_again(place, wired):
    place.studio.faults.append(Fault("PATCH", "/api/ml/", 400))
    place.run(clean)
    assert wired["description"] == ""
    place.run(clean)
    assert wired["description"].startswith(f"{place.second} is live.")
