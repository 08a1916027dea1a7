"""Accepted images: which of them are asked about, what those stand for, and when answers contradict a promise."""

import numpy as np
import pytest

from backend.learning.audit import audited, contradicts
from backend.learning.random_sample import random_sample
from backend.learning.rounds import Labelled, Pool, Rules, rank, train
from backend.learning.slots import slot_order
from tests.strategies.made_up import clusters

SIZE = 60


@pytest.fixture(scope="module")
def made_up():
    """40 labelled images, and a pool of 160."""
    embeddings, classes = clusters([50] * 4, noise=0.8)
    order = np.random.default_rng(0).permutation(200)
    known, rest = order[:40], order[40:]
    labelled = Labelled(known, classes[known], embeddings[known], np.ones(40), np.ones(40, bool))
    return labelled, Pool(rest, embeddings[rest], 1 + np.argsort(slot_order(rest)))


def ranked(made_up, audits, explore=0.2):
    labelled, pool = made_up
    pool = Pool(pool.tasks, pool.embeddings, pool.turns, audits)
    head, _ = train(labelled, pool, 4)
    return rank(head, pool, labelled, Rules("margin", SIZE, explore, 5), "al-1")


def test_a_quarter_of_accepted_images_is_asked_about_the_same_ones_always():
    tasks = np.arange(1, 20_001)
    assert audited(tasks).mean() == pytest.approx(0.25, abs=0.01)
    assert (audited(tasks[::-1])[::-1] == audited(tasks)).all()


def test_an_accepted_image_is_a_random_slot_and_never_a_pick(made_up):
    audits = np.arange(160) % 2 == 0
    ranking = ranked(made_up, audits)
    accepted = np.isin(ranking.tasks, made_up[1].tasks[audits])
    assert accepted.any()
    assert ranking.slots[accepted].all()


def test_without_random_slots_no_accepted_image_is_asked_about(made_up):
    audits = np.arange(160) % 2 == 0
    assert not np.isin(ranked(made_up, audits, explore=0.0).tasks, made_up[1].tasks[audits]).any()


def test_once_all_others_are_labelled_nobody_is_asked_about_accepted_ones(made_up):
    assert not len(ranked(made_up, np.ones(160, bool)).tasks)
    few = np.arange(160) >= 3
    assert ranked(made_up, few).tasks[-1] in made_up[1].tasks[~few]


def test_an_answer_about_an_accepted_image_stands_for_those_that_nobody_is_asked_about():
    tasks = np.arange(1, 1001)
    order = slot_order(tasks)
    accepted, labelled = np.zeros((2, 1000), bool)
    accepted[order[100:]] = True
    labelled[order[:100]] = True
    labelled[order[100:200][audited(tasks[order[100:200]])]] = True
    sample = random_sample(tasks, labelled, np.zeros(1000, bool), 1.0, (), accepted)
    of_accepted = sample.weights[accepted & labelled]
    assert set(of_accepted) == {4 * sample.weights[order[0]]}
    assert sample.weights.sum() == pytest.approx(1000, rel=0.1)


def test_what_somebody_says_unasked_about_an_accepted_image_measures_nothing():
    tasks = np.arange(1, 101)
    accepted = ~audited(tasks)
    assert not random_sample(tasks, np.ones(100, bool), np.zeros(100, bool), 1.0, (), accepted).weights[accepted].any()


@pytest.mark.parametrize(
    ("wrong", "answered", "error", "expected"),
    [
        (0, 0, 0.02, False),
        (0, 50, 0.02, False),
        (1, 10, 0.02, False),
        (2, 10, 0.02, True),
        (3, 50, 0.02, False),
        (4, 50, 0.02, True),
    ],
)
def test_more_wrong_answers_than_the_promise_explains_contradict_it(wrong, answered, error, expected):
    assert contradicts(wrong, answered, error) is expected
