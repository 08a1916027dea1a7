"""What the next labels bring, from heads whose learning curve is known."""

import numpy as np
import pytest
from scipy.stats import norm

from model.measuring.learning_curve import SHARES, curve_sizes, expected_gain
from model.measuring.metrics import ENOUGH

CLASSES = 3


def curve(a=0.95, b=2.0, c=0.5):
    """The power law a - b size^-c."""
    return lambda size: a - b * np.asarray(size, float) ** -c


def answers(law, sizes, n, seed, luck=0.0):
    """Heads that are right as often as `law` says of the labels they learned, mostly on the same images: (answers, labels).

    luck: how much heads of one size differ because they learned different labels; the last head has all of them.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    hard = np.sqrt(0.8) * random.normal(size=n) + np.sqrt(0.2) * random.normal(size=(len(sizes), n))
    hard[:-1] += luck * random.normal(size=(len(sizes) - 1, 1))
    right = hard < norm.ppf(law(sizes))[:, None]
    wrong = (labels + random.integers(1, CLASSES, size=right.shape)) % CLASSES
    return np.where(right, labels, wrong), labels


def told(law, n, known=300, ahead=50, seed=0, luck=0.0):
    """The gain told by heads on parts of the labels, each silent on what it learned, and by the cross-fitted one."""
    sizes = [*curve_sizes(known), known]
    predicted, labels = answers(law, sizes, n, seed, luck)
    random = np.random.default_rng(seed + 1)
    for row, size in zip(predicted[:-1], sizes, strict=False):
        row[random.random(n) < size / known] = -1
    return expected_gain(sizes, predicted, labels, known, ahead)


def truth(law, known=300, ahead=50):
    return float(law(known + ahead) - law(known))


def test_a_known_power_law_is_recovered_from_many_images():
    gain = told(curve(), 10_000)
    assert gain.macro_f1 == pytest.approx(truth(curve()), abs=0.001)
    assert gain.labels == 50


@pytest.mark.parametrize("c", [0.3, 1.0])
def test_another_exponent_is_not_far_off(c):
    law = curve(0.95, 0.1 * 300**c, c)
    assert told(law, 10_000).macro_f1 == pytest.approx(truth(law), rel=0.5)


def test_the_interval_covers_the_true_gain_nearly_always():
    gains = [told(curve(), 45, seed=seed) for seed in range(200)]
    covered = [gain.interval[0] <= truth(curve()) <= gain.interval[1] for gain in gains]
    assert 0.9 <= np.mean(covered) <= 0.995
    assert np.mean([gain.macro_f1 for gain in gains]) == pytest.approx(truth(curve()), abs=0.003)


def test_the_interval_grows_where_heads_of_one_size_differ():
    (low, high), (lucky_low, lucky_high) = told(curve(), 2000).interval, told(curve(), 2000, luck=0.4).interval
    assert lucky_high - lucky_low > 1.25 * (high - low)


def test_more_images_narrow_the_interval():
    (few_low, few_high), (low, high) = told(curve(), 40).interval, told(curve(), 1000).interval
    assert high - low < 0.5 * (few_high - few_low)


def test_a_flat_curve_may_seem_to_fall():
    gains = [told(lambda size: np.full(np.shape(size), 0.8), 60, seed=seed).macro_f1 for seed in range(40)]
    assert min(gains) < 0 < max(gains)


def test_heads_without_an_error_do_not_prove_that_nothing_is_left_to_gain():
    labels = np.arange(ENOUGH) % CLASSES
    gain = expected_gain([10, 20, 40], np.tile(labels, (3, 1)), labels, 40, 20)
    assert gain.macro_f1 == pytest.approx(0)
    assert gain.interval[1] - gain.interval[0] > 0.002


def test_f1_never_grows_beyond_1():
    n = 300
    labels = np.arange(n) % CLASSES
    predicted = np.tile(labels, (3, 1))
    predicted[0, :60], predicted[1, :9] = (labels[:60] + 1) % CLASSES, (labels[:9] + 1) % CLASSES
    gain = expected_gain([10, 20, 40], predicted, labels, 40, 40_000_000)
    assert 0 <= gain.macro_f1 <= 0.05


def test_classes_that_nobody_labelled_or_guessed_change_nothing():
    sizes = [*curve_sizes(300), 300]
    predicted, labels = answers(curve(), sizes, 200, 0)
    apart = np.where(predicted >= 0, 7 * predicted + 2, -1)
    assert expected_gain(sizes, apart, 7 * labels + 2, 300, 50) == expected_gain(sizes, predicted, labels, 300, 50)


def test_too_few_images_tell_nothing():
    assert told(curve(), ENOUGH - 1) is None
    assert told(curve(), ENOUGH) is not None


def test_one_class_alone_tells_nothing():
    same = np.zeros(40, np.int64)
    assert expected_gain([10, 20, 40], np.tile(same, (3, 1)), same, 40, 20) is None


def test_each_share_of_the_labels_is_measured_by_as_many_heads():
    sizes, counts = np.unique(curve_sizes(200), return_counts=True)
    assert sizes.tolist() == [200 * share for share in SHARES]
    assert len(set(counts)) == 1
