"""Metrics where an image may be of several classes or of none, against scikit-learn and values by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from model.measuring.metrics import ENOUGH
from model.measuring.set_metrics import macro_f1_of_sets, measure_sets, predicted_sets, set_calibration_error


def sample(n=200, classes=4, accuracy=0.8, seed=0):
    """Random sets, and probabilities that are right with `accuracy`."""
    random = np.random.default_rng(seed)
    labels = random.random((n, classes)) < 0.4
    right = random.random((n, classes)) < accuracy
    return np.where(labels == right, 0.8, 0.2), labels


def test_f1_and_accuracy_agree_with_scikit_learn():
    p, labels = sample()
    found = measure_sets(p, labels)
    assert found.per_class == pytest.approx(f1_score(labels, p >= 0.5, average=None))
    assert found.macro_f1 == pytest.approx(f1_score(labels, p >= 0.5, average="macro"))
    assert found.macro_f1 == pytest.approx(macro_f1_of_sets(predicted_sets(p), labels))
    assert found.accuracy == pytest.approx(accuracy_score(labels, p >= 0.5))


def test_images_count_by_their_weights():
    p, labels = sample(3)
    twice = np.array([0, 1, 1, 2])
    weighted = measure_sets(p, labels, np.array([1.0, 2.0, 1.0]))
    assert weighted.per_class == measure_sets(p[twice], labels[twice]).per_class


def test_a_class_that_does_not_occur_counts_for_nothing():
    p, labels = sample()
    p[:, 3], labels[:, 3] = 0.1, False
    found = measure_sets(p, labels)
    assert found.per_class[3] is None
    assert found.macro_f1 == pytest.approx(np.mean(found.per_class[:3]))


def test_few_images_are_not_enough():
    assert not measure_sets(*sample(ENOUGH - 1)).enough
    assert measure_sets(*sample(ENOUGH)).enough
    assert not measure_sets(np.full((60, 3), 0.1), np.zeros((60, 3), bool)).enough  # nobody has ticked anything


def test_no_image_leaves_nothing_to_tell():
    found = measure_sets(np.zeros((0, 3)), np.zeros((0, 3), bool))
    assert (found.n, found.macro_f1, found.per_class) == (0, None, [None] * 3)


def test_no_error_on_few_images_is_no_proof():
    labels = sample(40)[1]
    low, high = measure_sets(np.where(labels, 0.9, 0.1), labels).interval
    assert 0.85 < low < 0.995
    assert high == 1


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    truth = macro_f1_of_sets(predicted_sets(sample(100_000)[0]), sample(100_000)[1])
    held = [low <= truth <= high for low, high in (measure_sets(*sample(60, seed=seed)).interval for seed in range(100))]
    assert np.mean(held) >= 0.88


def test_calibration_is_the_gap_between_confidence_and_how_often_it_is_right():
    assert set_calibration_error(np.array([[0.9, 0.1]]), np.array([[True, False]])) == pytest.approx(0.1)
    assert set_calibration_error(np.array([[0.9, 0.1]]), np.array([[False, True]])) == pytest.approx(0.9)


def test_metrics_are_plain_values():
    assert json.loads(json.dumps(measure_sets(*sample()).as_dict()))["confusion"] == []
