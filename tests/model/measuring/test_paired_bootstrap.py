"""Whether one classifier is better than another on the same images."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from model.measuring.metrics import paired_bootstrap

RANDOM = np.random.default_rng(0)


def guesses(labels, right, classes, seed):
    """Predictions of which the share `right` is right."""
    random = np.random.default_rng(seed)
    return np.where(random.random(len(labels)) < right, labels, random.integers(classes, size=len(labels)))


@pytest.mark.parametrize(("classes", "n"), [(2, 40), (4, 120)])
def test_it_agrees_with_a_plain_bootstrap_over_scikit_learns_f1(classes, n):
    labels = np.random.default_rng(1).integers(classes, size=n)
    first, second = guesses(labels, 0.6, classes, 2), guesses(labels, 0.7, classes, 3)
    random, differences = np.random.default_rng(4), []
    for _ in range(600):
        drawn = random.integers(n, size=n)
        scores = [f1_score(labels[drawn], g[drawn], average="macro", zero_division=0) for g in (first, second)]
        differences.append(scores[1] - scores[0])
    probability, interval = paired_bootstrap(first, second, labels, classes)
    assert probability == pytest.approx((np.array(differences) > 0).mean(), abs=0.06)
    assert interval == pytest.approx(np.percentile(differences, [2.5, 97.5]), abs=0.03)


def test_equal_predictions_are_no_better_and_no_worse():
    labels = RANDOM.integers(3, size=50)
    assert paired_bootstrap(labels, labels, labels, 3) == (0.5, (0.0, 0.0))


def test_turning_the_two_round_turns_the_answer_round():
    labels = RANDOM.integers(3, size=80)
    first, second = guesses(labels, 0.5, 3, 1), guesses(labels, 0.8, 3, 2)
    there, (low, high) = paired_bootstrap(first, second, labels, 3)
    back, (low_back, high_back) = paired_bootstrap(second, first, labels, 3)
    assert there + back == pytest.approx(1)
    assert (low_back, high_back) == pytest.approx((-high, -low))
    assert there > 0.9


def test_one_image_more_right_of_thirty_is_no_proof():
    labels = np.arange(30) % 2
    first, second = labels.copy(), labels.copy()
    first[:3] = 1 - first[:3]
    second[:2] = 1 - second[:2]
    assert 0.5 < paired_bootstrap(first, second, labels, 2)[0] < 0.9


def test_many_classes_and_images_are_drawn_in_parts():
    labels = RANDOM.integers(300, size=3000)
    probability, _ = paired_bootstrap(guesses(labels, 0.5, 300, 1), guesses(labels, 0.7, 300, 2), labels, 300)
    assert probability > 0.99


def test_each_stratum_is_drawn_for_itself_and_counts_by_its_weight():
    """An unweighted comparison would favour the first; the stratum that stands for most of the pool favours the second."""
    labels = np.arange(80) % 2
    first, second = labels.copy(), labels.copy()
    second[:20] = 1 - second[:20]
    first[60:70] = 1 - first[60:70]
    weights = np.where(np.arange(80) < 60, 1.0, 30.0)
    assert paired_bootstrap(first, second, labels, 2)[0] < 0.1
    assert paired_bootstrap(first, second, labels, 2, weights)[0] > 0.9


def test_a_stratum_of_one_image_is_drawn_once_each_time():
    labels, weights = np.array([0, 1, 0, 1]), np.array([1.0, 1.0, 1.0, 9.0])
    wrong = np.array([0, 1, 0, 0])
    assert paired_bootstrap(wrong, labels, labels, 2, weights)[0] == 1.0
