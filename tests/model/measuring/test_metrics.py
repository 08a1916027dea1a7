"""Metrics on a random sample, against scikit-learn and against values worked out by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from model.measuring.metrics import ENOUGH, confusion_cells, effective_size, measure


def sample(n, classes=4, accuracy=0.7, seed=0):
    """Random labels, and probabilities whose best class is right with `accuracy`."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    p = random.dirichlet(np.ones(classes), n)
    p[np.arange(n), np.where(random.random(n) < accuracy, labels, random.integers(0, classes, n))] += 1
    return p / p.sum(axis=1, keepdims=True), labels


def perfect(n, classes=2):
    labels = np.arange(n) % classes
    return np.eye(classes)[labels], labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "classes"), [(1, 2), (5, 10), (40, 3), (500, 20)])
def test_macro_f1_agrees_with_scikit_learn(n, classes, seed):
    p, labels = sample(n, classes, seed=seed)
    expected = f1_score(labels, p.argmax(axis=1), average="macro", zero_division=0)
    assert measure(p, labels).macro_f1 == pytest.approx(expected, abs=1e-12)


def test_the_f1_of_each_class_agrees_with_scikit_learn():
    p, labels = sample(200, 5)
    assert measure(p, labels).per_class == pytest.approx(f1_score(labels, p.argmax(axis=1), average=None))


def test_accuracy_agrees_with_scikit_learn():
    p, labels = sample(200, 5)
    assert measure(p, labels).accuracy == accuracy_score(labels, p.argmax(axis=1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "classes"), [(0, 3), (1, 3), (40, 3), (200, 300)])
def test_the_confusion_agrees_with_scikit_learn(n, classes, seed):
    p, labels = sample(n, classes, seed=seed)
    weights = np.random.default_rng(seed).choice([1.0, 2.5, 40.0], n)
    found = np.zeros((classes, classes))
    for truth, guess, weight in confusion_cells(p.argmax(axis=1), labels, weights):
        found[truth, guess] = weight
    expected = confusion_matrix(labels, p.argmax(axis=1), labels=range(classes), sample_weight=weights) if n else 0 * found
    assert found == pytest.approx(expected)
    assert found.sum() == pytest.approx(weights.sum())


def test_the_confusion_of_a_thousand_classes_has_the_cells_alone_that_hold_an_image():
    p, labels = sample(50, 1000)
    assert len(confusion_cells(p.argmax(axis=1), labels, np.ones(50))) <= 50


def test_a_class_that_does_not_occur_has_no_f1():
    p, labels = perfect(6, classes=2)
    assert measure(np.pad(p, ((0, 0), (0, 2))), labels).per_class == [1.0, 1.0, None, None]


def test_a_class_that_does_not_occur_does_not_lower_macro_f1():
    p, labels = perfect(6, classes=2)
    assert measure(np.pad(p, ((0, 0), (0, 2))), labels).macro_f1 == 1.0


def test_a_class_that_is_only_predicted_has_an_f1_of_0():
    assert measure(np.eye(3)[[0, 2]], np.array([0, 0])).per_class == [pytest.approx(2 / 3), None, 0.0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_the_interval_contains_macro_f1(accuracy, seed):
    m = measure(*sample(30, accuracy=accuracy, seed=seed))
    assert 0 <= m.interval[0] <= m.macro_f1 <= m.interval[1] <= 1


def test_accuracy_has_an_interval_too():
    m = measure(*sample(200, accuracy=0.8))
    assert m.accuracy_interval[0] < m.accuracy < m.accuracy_interval[1]
    assert 0.05 < m.accuracy_interval[1] - m.accuracy_interval[0] < 0.2


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_ten_images_without_an_error_do_not_prove_perfection(classes):
    assert measure(*perfect(10, classes)).interval[0] < 0.95


def test_a_thousand_images_without_an_error_nearly_do():
    assert measure(*perfect(1000)).interval[0] > 0.99


def test_more_images_make_a_narrower_interval():
    few, many = (measure(*sample(n)).interval for n in (30, 600))
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_the_interval_is_the_same_on_every_call():
    assert measure(*sample(30)).interval == measure(*sample(30)).interval


def test_nothing_measured_is_no_number():
    m = measure(np.zeros((0, 3)), np.zeros(0, np.int64))
    assert (m.n, m.macro_f1, m.interval, m.per_class, m.accuracy, m.ece) == (0, None, None, [None] * 3, None, None)


@pytest.mark.parametrize("n", [0, 1, ENOUGH - 1])
def test_fewer_images_are_not_enough(n):
    assert not measure(*sample(n)).enough


def test_thirty_images_are_enough():
    assert measure(*sample(ENOUGH)).enough


def test_certain_and_right_is_calibrated():
    assert measure(*perfect(20)).ece == 0


def test_certain_and_wrong_is_as_wrong_as_can_be():
    p, labels = perfect(20)
    assert measure(p[::-1], labels).ece == 1


def test_calibration_error_is_the_gap_weighted_over_bins():
    p = np.array([[0.75, 0.25]] * 4 + [[0.95, 0.05]] * 6)
    labels = np.array([0, 0, 1, 1] + [0] * 6)  # 0.75 is right half the time, 0.95 always
    assert measure(p, labels).ece == pytest.approx(0.4 * 0.25 + 0.6 * 0.05)


def test_right_as_often_as_confident_is_calibrated():
    p = np.array([[0.75, 0.25]] * 4)
    assert measure(p, np.array([0, 0, 0, 1])).ece == pytest.approx(0)


def test_float32_probabilities_give_plain_values_for_json():
    p, labels = sample(40)
    m = measure(p.astype(np.float32), labels)
    intervals = {"interval": list(m.interval), "accuracy_interval": list(m.accuracy_interval)}
    as_lists = intervals | {"confusion": [list(cell) for cell in m.confusion]}
    assert json.loads(json.dumps(m.as_dict())) == m.as_dict() | as_lists


@pytest.mark.parametrize("n", [0, 2, 4])
def test_labels_that_do_not_fit_three_images_are_refused(n):
    with pytest.raises(ValueError, match=f"{n} labels do not fit"):
        measure(np.full((3, 2), 0.5), np.zeros(n, np.int64))


def test_an_image_of_weight_3_counts_as_three_images():
    p, labels = sample(60)
    weights = np.where(np.arange(60) < 20, 3, 1)
    weighted, repeated = (
        measure(p, labels, weights.astype(float)),
        measure(np.repeat(p, weights, 0), np.repeat(labels, weights)),
    )
    assert weighted.macro_f1 == pytest.approx(repeated.macro_f1)
    assert weighted.per_class == pytest.approx(repeated.per_class)
    assert weighted.accuracy == pytest.approx(repeated.accuracy)
    assert weighted.ece == pytest.approx(repeated.ece)


def test_an_image_of_weight_3_proves_no_more_than_one():
    p, labels = perfect(40)
    lopsided = measure(p, labels, np.where(np.arange(40) < 20, 3.0, 1.0))
    assert lopsided.n == 40
    assert lopsided.effective == pytest.approx(80**2 / (20 * 9 + 20))
    assert lopsided.interval[0] < measure(p, labels).interval[0]


def test_equal_weights_change_nothing():
    p, labels = sample(50)
    assert measure(p, labels, np.full(50, 7.0)).interval == pytest.approx(measure(p, labels).interval)
    assert effective_size(np.full(50, 7.0)) == pytest.approx(50)


@pytest.mark.parametrize("wrong", [np.ones(4), np.zeros(3), np.array([1.0, np.nan, 1.0])])
def test_weights_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        measure(np.full((3, 2), 0.5), np.zeros(3, np.int64), wrong)


def coverage(times, classes, strata, seed=0):
    """How often the interval holds the macro F1 of the whole pool, made of strata of (images, sampled, accuracy), all of whose
    classes are equally frequent and equally mistaken for each other."""
    random = np.random.default_rng(seed)
    total = sum(images for images, _, _ in strata)
    truth = sum(images * accuracy for images, _, accuracy in strata) / total
    covered = 0
    for _ in range(times):
        labels = random.integers(classes, size=sum(sampled for _, sampled, _ in strata))
        weights = np.repeat([images / sampled for images, sampled, _ in strata], [sampled for _, sampled, _ in strata])
        right = random.random(len(labels)) < np.repeat([a for _, _, a in strata], [sampled for _, sampled, _ in strata])
        predicted = np.where(right, labels, (labels + random.integers(1, classes, size=len(labels))) % classes)
        low, high = measure(np.eye(classes)[predicted], labels, weights).interval
        covered += low <= truth <= high
    return covered / times


ONE = [(1000, 100, 0.8)]
TWO = [(1000, 70, 0.9), (1000, 30, 0.7)]
UNEVEN = [(1000, 60, 0.9), (3000, 40, 0.6)]


@pytest.mark.parametrize("strata", [ONE, TWO, UNEVEN], ids=["one stratum", "two", "a large one, thinly sampled"])
def test_the_interval_covers_the_truth_about_95_times_in_100(strata):
    assert 0.91 <= coverage(200, 2, strata) <= 0.99


@pytest.mark.parametrize("accuracy", [0.8, 0.95])
def test_with_ten_classes_of_ten_images_it_does_so_nine_times_in_ten(accuracy):
    assert 0.86 <= coverage(150, 10, [(1000, 100, accuracy)]) <= 0.99


@pytest.mark.soak
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("strata", [ONE, TWO, UNEVEN], ids=["one stratum", "two", "a large one, thinly sampled"])
def test_it_does_so_over_two_thousand_samples(strata, classes):
    assert (0.88 if classes == 10 else 0.91) <= coverage(2000, classes, strata) <= 0.99


def test_two_hits_in_one_class_prove_little():
    low, _ = measure(np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]]), np.array([0, 0])).interval
    assert low < 0.7


@pytest.mark.parametrize("weight", [0.1, 1 / 3, 3.3333333333333335, 1.1])
def test_images_of_equal_weight_tell_as_much_as_they_are(weight):
    assert effective_size(np.full(30, weight)) == 30
