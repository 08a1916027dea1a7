"""What the next labels are expected to bring where an image may be of several classes or of none."""

import numpy as np
import pytest

from model.measuring.learning_curve import curve_sizes
from model.measuring.set_learning_curve import expected_gain_of_sets

KNOWN = 120


def curve(right, n=80, classes=3, seed=0):
    """Heads that are right about a class with the chance `right` of how many labels they learned: sizes, answers, labels."""
    random = np.random.default_rng(seed)
    sizes = [*curve_sizes(KNOWN), KNOWN]
    labels = random.random((n, classes)) < 0.4
    answers = [np.where(random.random((n, classes)) < right(size), labels, ~labels) for size in sizes]
    return sizes, np.array(answers, np.int8), labels


def test_heads_that_grow_better_with_labels_promise_more():
    gain = expected_gain_of_sets(*curve(lambda size: 0.55 + 0.4 * size / KNOWN), KNOWN, 50)
    assert gain.labels == 50
    assert gain.macro_f1 > 0.02
    assert gain.interval[0] < gain.macro_f1 < gain.interval[1]


def test_heads_that_are_as_good_with_fewer_labels_promise_little():
    gain = expected_gain_of_sets(*curve(lambda _: 0.9), KNOWN, 50)
    assert abs(gain.macro_f1) < 0.02
    assert gain.interval[0] < 0.01


def test_images_that_a_head_has_learned_itself_tell_nothing_of_it():
    sizes, answers, labels = curve(lambda size: 0.55 + 0.4 * size / KNOWN)
    wrong, unasked = answers.copy(), np.random.default_rng(1).random(answers.shape[:2]) < 0.5
    unasked[-1] = False
    wrong[unasked] = -1
    gain, whole = (expected_gain_of_sets(sizes, given, labels, KNOWN, 50) for given in (wrong, answers))
    assert gain.macro_f1 == pytest.approx(whole.macro_f1, abs=0.03)


def test_images_count_by_their_weights():
    sizes, answers, labels = curve(lambda size: 0.55 + 0.4 * size / KNOWN)
    better = np.r_[np.full(40, 1e6), np.full(40, 1e-6)]
    first = expected_gain_of_sets(sizes, answers[:, :40], labels[:40], KNOWN, 50)
    assert expected_gain_of_sets(sizes, answers, labels, KNOWN, 50, better).macro_f1 == pytest.approx(first.macro_f1, abs=1e-3)


@pytest.mark.parametrize(("n", "ahead", "none"), [(29, 50, False), (80, 0, False), (80, 50, True)])
def test_where_it_cannot_be_told_there_is_none(n, ahead, none):
    sizes, answers, labels = curve(lambda _: 0.9, n)
    assert expected_gain_of_sets(sizes, answers, labels & (not none), KNOWN, ahead) is None
