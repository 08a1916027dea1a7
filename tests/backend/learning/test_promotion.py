"""Which images a backbone is judged on, and when it is better."""

from dataclasses import replace

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
    return Labelled(np.arange(n) + 1, labels, embeddings, np.where(np.arange(n) < sampled, 1.0, 0.0), unseen)


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


def judged(live, new, tests, weights=None, n=300):
    """The verdict on two made-up backbones that tell classes more or less apart, on the first `tests` of n images."""
    known = labelled(n, n)
    known = replace(known, embeddings=images(n, apart=live)[0], weights=known.weights if weights is None else weights)
    return compare(known, images(n, apart=new)[0], np.arange(n) < tests, 3)


def test_a_clearly_better_backbone_is_promoted():
    found = judged(0.1, 1.0, 60)
    assert found.promoted
    assert found.new > found.live
    assert found.interval[0] > 0


def test_an_equal_one_is_not():
    found = judged(0.3, 0.3, 60)
    assert not found.promoted
    assert found.probability == 0.5


def test_a_few_images_prove_nothing():
    found = judged(0.1, 1.0, ENOUGH - 1)
    assert found.probability > 0.9
    assert not found.promoted


def test_nor_do_a_few_that_stand_for_many():
    found = judged(0.1, 1.0, 60, np.where(np.arange(300) < 5, 200.0, 1.0))
    assert (found.n, found.promoted) == (60, False)


def test_images_that_have_left_the_sample_judge_nothing():
    assert judged(0.1, 1.0, 60, np.where(np.arange(300) < 20, 0.0, 1.0)).n == 40


def test_without_images_to_judge_on_there_is_no_verdict():
    found = judged(0.1, 1.0, 0)
    assert (found.n, found.probability, found.promoted) == (0, None, False)


def test_the_test_holds_of_each_stratum_about_its_share():
    known = replace(labelled(800, 800), weights=np.where(np.arange(800) < 400, 1.0, 3.0))
    assert 0.4 < (known.weights[split(known).test] == 3).mean() < 0.6
