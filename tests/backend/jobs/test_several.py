"""Rounds of a project in which an image may be of several classes or of none."""

import numpy as np
import pytest

from backend.connection.differences import setting_differences
from backend.jobs.doubts import doubt
from backend.jobs.finetune import finetune
from backend.jobs.mapping import draw_map
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.labelstudio.several import names_of
from backend.learning.promotion import Known, compare
from backend.learning.rounds import Labelled, Pool
from backend.records.doubts import read_found
from backend.records.map import read_map

CONFIG = """<View><Image name="image" value="$image"/><Choices name="choice" toName="image" choice="multiple">
    <Choice value="red"/><Choice value="dark"/><Choice value="green"/></Choices></View>"""


def truth(number):
    """The classes of the photo of that number: see `photo`."""
    return [*(["red"] if number % 2 == 0 else []), *(["dark"] if number % 25 < 8 else [])]


def answer(place, number, names):
    """Submit a set of classes for a photo."""
    value = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": names}}
    client = place.studio.client()
    client.request("POST", f"/api/tasks/{place.tasks[number]}/annotations/", json={"result": [value] if names else []})


@pytest.fixture
def several(place):
    """A project that asks for any of three classes."""
    place.studio.client().patch_project(place.project, label_config=CONFIG, enable_empty_annotation=True)
    return place


def test_a_round_learns_sets_and_ticks_what_is_more_likely_than_not(several):
    for number in range(8):
        answer(several, number, truth(number))
    summary = several.run(run_round)
    assert summary["labels"] == 8
    with several.session() as session:
        session.look()
        version = session.versions.load(several.live())
        assert session.fits(version)
    assert version.several
    assert version.labels.dtype == bool
    assert dict(zip(version.tasks.tolist(), version.labels.tolist(), strict=True)) == {
        several.tasks[n]: [name in truth(n) for name in ("red", "dark", "green")] for n in range(8)
    }
    stored = [p for p in several.studio.predictions.values() if p["model_version"] == several.live()]
    assert len(stored) == summary["published"]
    told = [region for p in stored for region in p["result"]]
    assert told
    assert all(set(region["value"]["choices"]) <= {"red", "dark"} for region in told)


def test_an_image_of_no_class_is_labelled(several):
    answer(several, 0, ["red"])
    answer(several, 1, [])
    assert several.run(run_round)["labels"] == 2
    with several.session() as session:
        labels = {row.task: names_of(row.label) for row in session.index.rows() if row.label}
    assert labels == {several.tasks[0]: ["red"], several.tasks[1]: []}


def test_nothing_is_left_to_learn_after_a_round(several):
    for number in range(4):
        answer(several, number, truth(number))
    several.run(run_round)
    live = several.live()
    several.run(reconcile)
    assert several.live() == live
    with several.session() as session:
        assert not session.state.errors


def test_a_project_that_asks_for_several_choices_from_now_on_learns_them_anew(place):
    place.label(0, 1, 2, 3)
    place.run(run_round)
    place.studio.client().patch_project(place.project, label_config=CONFIG)
    for number in (4, 5):
        answer(place, number, truth(number))
    place.run(run_round)
    with place.session() as session:
        assert session.versions.load(place.live()).several


def test_fine_tuning_says_that_it_learns_single_choices(several):
    for number in range(8):
        answer(several, number, truth(number))
    several.run(run_round)
    assert "single choices" in several.run(finetune, "last")["ignored"]


def test_a_class_that_was_left_out_is_doubted(several):
    for number in range(22):
        answer(several, number, [] if number == 10 else truth(number))
    several.run(run_round)
    assert several.run(doubt) >= 1
    with several.session() as session:
        found = read_found(session.documents, several.live())
    assert (found.doubts[0].task, found.doubts[0].label) == (several.tasks[10], "[]")
    assert "red" in names_of(found.doubts[0].suggested)


@pytest.mark.parametrize(("taken", "wanted"), [(True, True), (False, False), (True, False), (False, True)])
def test_empty_answers_are_wanted_where_they_mean_none_of_the_classes(several, taken, wanted):
    info = several.studio.client().project(several.project) | {"enable_empty_annotation": taken}
    found = [difference.kind for difference in setting_differences(info, may_be_empty=wanted)]
    assert ("empty answers" in found) == (taken != wanted)


def test_images_of_several_classes_have_their_f1_and_are_compared_by_it():
    labels = np.zeros((60, 3), bool)
    labels[::2, 0] = labels[::3, 1] = True
    good, bad = np.zeros((2, 60, 8), np.float32)
    good[:, :3], bad[:, 3] = labels + 0.1, 1
    everything, none = np.ones(60), np.zeros(60, np.int64)
    live, new = (
        Known(Labelled(np.arange(60), labels, seen, everything, everything.astype(bool)), Pool(np.arange(60, 120), seen, none))
        for seen in (bad, good)
    )
    found = compare(live, new, everything.astype(bool), 3)
    assert found.promoted
    assert found.new > found.live


def test_the_map_guesses_no_class_where_none_is_more_likely_than_not(several):
    for number in range(8):
        answer(several, number, ["red"] if number % 2 == 0 else [])
    several.run(run_round)
    several.run(draw_map)
    with several.session() as session:
        drawn = read_map(session.documents)
        head = session.versions.load(several.live()).head
        values, _ = session.store.get(drawn.keys.tolist())
    likely = head.probabilities(values)
    assert set(drawn.guesses.tolist()) >= {-1, 0}
    assert drawn.guesses.tolist() == np.where(likely.max(axis=1) >= 0.5, likely.argmax(axis=1), -1).tolist()
