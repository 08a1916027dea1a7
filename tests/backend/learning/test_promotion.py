"""Which images a backbone is judged on, and when it is better."""

import numpy as np
import pytest

from backend.learning.promotion import compare, split
from backend.learning.rounds import Labelled
from model.metrics import ENOUGH
from tests.model.made_up import images


def labelled(n, sampled, seen=0):
    """n labelled images of which the first `sampled` are in the random sample, and of those the first `seen` have been seen."""
    embeddings, labels = images(n)
    unseen = np.arange(n) >= seen
    return Labelled(np.arange(n) + 1, labels, embeddings, np.arange(n) < sampled, unseen)


@pytest.mark.parametrize(
    ("n", "sampled", "test", "stop"),
    [(300, 30, 30, 0), (300, 300, 60, 36), (80, 80, 30, 0), (1000, 100, 50, 0), (2000, 200, 100, 100), (50, 5, 5, 0)],
)
def test_the_test_comes_first_and_then_the_stop_fold(n, sampled, test, stop):
    found = split(labelled(n, sampled))
    assert (found.test.sum(), found.stop.sum()) == (test, stop)


def test_test_and_stop_fold_are_random_slots_and_never_the_same():
    found = split(labelled(400, 300))
    assert not (found.test & found.stop).any()
    assert not (found.test | found.stop)[300:].any()


def test_what_the_live_backbone_has_seen_is_no_test():
    found = split(labelled(300, 100, seen=70))
    assert found.test.sum() == 30
    assert not found.test[:70].any()


def embeddings(apart, n=300):
    """Made-up embeddings of the same images by backbones that tell classes more or less apart."""
    return images(n, apart=apart)[0]


def test_a_clearly_better_backbone_is_promoted():
    labels = images(300)[1]
    found = compare(embeddings(0.1), embeddings(1.0), labels, np.arange(300) < 60, 3)
    assert found.promoted
    assert found.new > found.live
    assert found.interval[0] > 0


def test_an_equal_one_is_not():
    labels = images(300)[1]
    found = compare(embeddings(0.3), embeddings(0.3), labels, np.arange(300) < 60, 3)
    assert not found.promoted
    assert found.probability == 0.5


def test_a_few_images_prove_nothing():
    labels = images(300)[1]
    found = compare(embeddings(0.1), embeddings(1.0), labels, np.arange(300) < ENOUGH - 1, 3)
    assert found.probability > 0.9
    assert not found.promoted


def test_without_images_to_judge_on_there_is_no_verdict():
    found = compare(embeddings(0.1), embeddings(1.0), images(300)[1], np.zeros(300, bool), 3)
    assert (found.n, found.probability, found.promoted) == (0, None, False)
