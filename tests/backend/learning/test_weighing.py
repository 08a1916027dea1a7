"""Several people's answers as one label: who is mostly right and what heads see weigh, as far as there is something to learn
from."""

import numpy as np
import pytest
from cleanlab.multiannotator import get_label_quality_multiannotator
from pandas import DataFrame

from backend.learning.weighing import FEWEST, majority, weigh
from model.heads.dawid_skene import Answers
from model.heads.head import cross_fit, fit_head
from model.heads.learner import Learner
from tests.model.made_up import images

CLASSES, N = 3, 150
RIGHT = (0.95, 0.85, 0.7)


@pytest.fixture(scope="module")
def asked():
    """Embeddings and classes of N images, and what two of three people say of each."""
    embeddings, truth = images(N, dimensions=20, apart=0.8)
    random = np.random.default_rng(3)
    rows = np.repeat(np.arange(N), 2)
    people = np.array([random.permutation(3)[:2] for _ in range(N)]).ravel()
    right = random.random(2 * N) < np.array(RIGHT)[people]
    said = np.where(right, truth[rows], (truth[rows] + random.integers(1, 3, 2 * N)) % CLASSES)
    return embeddings, truth, Answers(rows, people, said, N, 3, CLASSES)


@pytest.fixture(scope="module")
def weighed(asked):
    embeddings, _, answers = asked
    return weigh(answers, embeddings)


def test_the_majority_is_the_class_with_most_answers_and_none_where_two_have_as_many():
    answers = Answers(np.array([0, 0, 0, 1, 1]), np.array([0, 1, 2, 0, 1]), np.array([2, 2, 1, 0, 1]), 3, 3, CLASSES)
    assert majority(answers).tolist() == [2, -1, -1]


def test_most_ties_are_settled_rightly(asked, weighed):
    _, truth, answers = asked
    tied = majority(answers) < 0
    assert tied.sum() > 20
    among = answers.votes()[tied, truth[tied]] > 0  # where somebody was right
    assert (weighed.labels == truth)[tied][among].mean() > 0.85


def test_a_label_is_what_somebody_said(asked, weighed):
    assert (asked[2].votes()[np.arange(N), weighed.labels] > 0).all()


def test_sureness_is_how_many_are_right(asked, weighed):
    right = weighed.labels == asked[1]
    assert weighed.sureness.mean() == pytest.approx(right.mean(), abs=0.04)
    assert weighed.sureness[right].mean() > weighed.sureness[~right].mean() + 0.1


def test_it_finds_who_is_mostly_right(weighed):
    assert np.argsort(-weighed.right).tolist() == [0, 1, 2]
    assert weighed.right == pytest.approx(RIGHT, abs=0.08)


def test_before_a_head_can_tell_nothing_is_weighed(asked):
    embeddings, _, answers = asked
    few = answers.images < FEWEST - 1
    parts = (values[few] for values in (answers.images, answers.people, answers.choices))
    assert weigh(Answers(*parts, FEWEST - 1, 3, CLASSES), embeddings[: FEWEST - 1]) is None


def test_ground_truth_is_the_label_though_all_say_otherwise(asked):
    embeddings, _, answers = asked
    known = np.full(N, -1)
    known[0] = (answers.choices[0] + 1) % CLASSES if answers.choices[0] == answers.choices[1] else 0
    found = weigh(answers, embeddings, known)
    assert (found.labels[0], found.sureness[0]) == (known[0], 1.0)


def test_of_images_without_an_embedding_people_alone_tell(asked, weighed):
    embeddings, _, answers = asked
    seen = np.arange(N) >= 40
    blank = np.where(seen[:, None], embeddings, 0).astype(np.float32)
    found = weigh(answers, blank, seen=seen)
    unanimous = (majority(answers) >= 0) & ~seen
    assert (found.labels == majority(answers))[unanimous].all()
    assert (found.sureness[~seen] < weighed.sureness[~seen]).mean() > 0.7


def test_the_labels_are_hardly_others_than_those_of_crowdlab(asked, weighed):
    """cleanlab's CROWDLAB (Goh, Tkachenko and Mueller, 2210.06812) weighs the same votes by other formulas."""
    embeddings, truth, answers = asked
    most = majority(answers)
    learner = Learner(embeddings[most >= 0], most[most >= 0], CLASSES)
    head = fit_head(learner)
    p = head.probabilities(embeddings)
    p[most >= 0] = cross_fit(learner, np.ones(len(learner.labels), bool), head.temperature)
    table = np.full((N, 3), np.nan)
    table[answers.images, answers.people] = answers.choices
    theirs = get_label_quality_multiannotator(DataFrame(table), p.astype(float), verbose=False)["label_quality"]
    other = theirs["consensus_label"].to_numpy(int)
    assert (other == weighed.labels).mean() > 0.93
    assert (weighed.labels == truth).mean() > (other == truth).mean() - 0.02
