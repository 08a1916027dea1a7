"""The job that looks for labels that are likely wrong, and what is kept of it."""

import numpy as np
import pytest

from backend.jobs.doubts import doubt, doubts_of
from backend.jobs.round import run_round
from backend.learning.rounds import Labelled
from backend.records.doubts import Right, read_found
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.storage.files import write_json
from tests.backend.jobs.made_up import CLASSES

LABELS = 22


def folder_of(place):
    """Where the live version lies."""
    return place.settings.data_dir / "projects" / str(place.project) / "versions" / place.live()


def doubts(place):
    """What the live version doubts."""
    with place.session() as session:
        return read_found(session.documents, place.live())


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


def test_of_several_choices_a_class_too_many_is_found_with_the_set_without_it():
    random, n = np.random.default_rng(0), 80
    truth = random.random((n, 2)) < 0.5
    embeddings = np.hstack([10 * truth - 5 + random.normal(size=(n, 2)), random.normal(size=(n, 6))]).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = truth.copy()
    wrong = int(np.flatnonzero(~truth[:, 1] & truth[:, 0])[0])
    labels[wrong, 1] = True
    some = Labelled(np.arange(n), labels, embeddings, np.zeros(n), np.ones(n, bool))
    first = doubts_of(some, fit_head(Learner(embeddings, labels, 2)), embeddings[:0], CLASSES).doubts[0]
    assert (first.task, first.label, first.suggested) == (wrong, '["ants", "bees"]', '["ants"]')


def test_a_round_wakes_it(labelled):
    assert labelled.work.redis.exists(f"rq:job:doubts-{labelled.project}-0")


def test_a_head_that_learned_the_label_is_not_asked_about_it():
    """In so many dimensions a head comes to believe whatever it learns."""
    random, n = np.random.default_rng(0), 60
    truth = np.arange(n) % 2
    embeddings = random.normal(size=(n, 200)).astype(np.float32)
    embeddings[:, 0] += 12 * truth - 6
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = truth.copy()
    labels[:3] = 1 - labels[:3]
    some = Labelled(np.arange(n), labels, embeddings, np.zeros(n), np.ones(n, bool))
    head = fit_head(Learner(embeddings, labels, 2))
    believed = head.probabilities(embeddings)[np.arange(3), labels[:3]]
    found = {doubt.task: doubt.probability for doubt in doubts_of(some, head, embeddings[:0], CLASSES).doubts}
    wrong = found.keys() & {0, 1, 2}
    assert len(wrong) >= 2
    assert all(found[task] < believed[task] - 0.1 for task in wrong)


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
    with labelled.session() as session:
        session.versions.remove(labelled.live())
        assert read_found(session.documents, labelled.live()) is None


@pytest.mark.parametrize("damaged", [None, {"doubts": 3}, {"doubts": [{"task": "x"}], "judged": 1, "learned": 0}])
def test_a_damaged_file_is_no_file(labelled, damaged):
    write_json(folder_of(labelled) / "doubts.json", damaged)
    assert doubts(labelled) is None


def test_what_is_found_right_stays_known(documents):
    Right(documents).add(3, "ants")
    Right(documents).add(4, "bees")
    assert Right(documents).labels() == {3: "ants", 4: "bees"}
    Right(documents).clear()
    assert Right(documents).labels() == {}


def test_embeddings_that_are_not_finite_cost_themselves_alone(labelled):
    with labelled.session() as session:
        row = session.index.row(labelled.tasks[0])
        values, _ = session.store.get([row.key])
        session.store.add([row.key], np.full_like(values, np.nan))
    assert labelled.run(doubt) == 1
