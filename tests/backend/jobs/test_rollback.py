"""Going back to an older version."""

import pytest

from backend.bench.label_studio import label_config
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from model.version_store import VersionError
from tests.label_studio_in_memory import Fault

pytestmark = pytest.mark.usefixtures("two_versions")


def test_the_queue_follows_the_older_version_again(place):
    assert roll_back(place.project, place.first) == {"version": place.first}
    assert place.live() == place.first


def test_what_is_labelled_meanwhile_does_not_bring_the_newer_one_back(place):
    roll_back(place.project, place.first)
    assert place.work.pending(place.project) == 0
    assert place.state.live == place.first


def test_it_may_be_done_twice(place):
    roll_back(place.project, place.first)
    roll_back(place.project, place.second)
    assert place.live() == place.second


def test_a_version_that_was_never_published_is_refused(place):
    place.studio.faults.append(Fault("POST", "/import/predictions", 500))
    place.label(4)
    place.run(run_round)
    with pytest.raises(VersionError, match=f"There are: {place.first}, {place.second}"):
        roll_back(place.project, "al-3-000000")
    assert place.live() == place.second


def test_a_version_for_other_classes_is_refused_once_and_told(place):
    place.studio.projects[place.project]["label_config"] = label_config(["red", "green"])
    assert roll_back(place.project, place.first) is None
    assert "other classes" in place.state.errors["rollback"]
    assert place.live() == place.second


def test_a_refusal_is_told_until_the_next_round_has_published(place):
    place.studio.projects[place.project]["label_config"] = label_config(["red", "green"])
    roll_back(place.project, place.first)
    place.run(run_round)
    assert place.state.errors == {}


def test_what_people_have_sent_ahead_is_not_all_that_is_left_of_a_queue_whose_predictions_are_gone(place):
    with place.session() as session:
        session.ahead.send(place.tasks[10:13], "ada@example.org")
    for prediction in [p for p in place.studio.predictions.values() if p["model_version"] == place.first]:
        del place.studio.predictions[prediction["id"]]
    roll_back(place.project, place.first)
    queue = place.predictions(place.first)
    assert queue[:3] == place.tasks[10:13]
    assert len(queue) >= 8
