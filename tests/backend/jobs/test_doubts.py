"""The job that looks for labels that are likely wrong, and what is kept of it."""

import numpy as np
import pytest

from backend.jobs.doubts import doubt
from backend.jobs.round import run_round
from backend.project.doubts import FILE, Right, read_found
from model.files import write_json
from tests.backend.jobs.made_up import CLASSES

LABELS = 22


def folder_of(place):
    """Where the live version lies."""
    return place.settings.data_dir / "projects" / str(place.project) / "versions" / place.live()


def doubts(place):
    """What the live version doubts."""
    return read_found(folder_of(place))


@pytest.fixture
def labelled(place):
    """LABELS labels, of which that of the tenth photo is wrong."""
    place.label(*(n for n in range(LABELS) if n != 10))
    place.studio.label(place.tasks[10], CLASSES[1])
    place.run(run_round)
    return place


def test_a_wrong_label_is_found_with_what_it_should_be(labelled):
    assert labelled.run(doubt) == 1
    found = doubts(labelled)
    (first,) = found.doubts
    assert (first.task, first.label, first.suggested) == (labelled.tasks[10], CLASSES[1], CLASSES[0])
    assert first.probability < 0.5 < first.confidence
    assert (found.judged, found.learned) == (LABELS, 0)


def test_a_round_wakes_it(labelled):
    assert labelled.work.redis.exists(f"rq:job:doubts-{labelled.project}-0")


def test_a_head_that_learned_the_label_is_not_asked_about_it(labelled):
    """The live head, which has learned the wrong label, may well believe it."""
    labelled.run(doubt)
    assert doubts(labelled).doubts[0].probability < 0.3


def test_with_few_labels_nothing_is_doubted(place):
    place.label(0, 1, 2)
    place.studio.label(place.tasks[3], CLASSES[0])
    place.run(run_round)
    assert place.run(doubt) == 0
    assert doubts(place).judged == 0


def test_before_the_first_version_there_is_nothing_to_do(place):
    assert place.run(doubt) == 0


def test_what_is_kept_goes_with_its_version(labelled):
    labelled.run(doubt)
    old = folder_of(labelled)
    with labelled.session() as session:
        session.versions.remove(old.name)
    assert read_found(old) is None


@pytest.mark.parametrize("damaged", [None, {"doubts": 3}, {"doubts": [{"task": "x"}], "judged": 1, "learned": 0}])
def test_a_damaged_file_is_no_file(labelled, damaged):
    write_json(folder_of(labelled) / FILE, damaged)
    assert doubts(labelled) is None


def test_what_is_found_right_stays_known(tmp_path):
    Right(tmp_path).add(3, "ants")
    Right(tmp_path).add(4, "bees")
    assert Right(tmp_path).labels() == {3: "ants", 4: "bees"}
    Right(tmp_path).clear()
    assert Right(tmp_path).labels() == {}


def test_embeddings_that_are_not_finite_cost_themselves_alone(labelled):
    with labelled.session() as session:
        row = session.index.row(labelled.tasks[0])
        values, _ = session.store.get([row.key])
        session.store.add([row.key], np.full_like(values, np.nan))
    assert labelled.run(doubt) == 1
