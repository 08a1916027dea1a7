"""Figures by hand: area, labels saved, intervals."""

import numpy as np
import pytest

from backend.simulate.statistics import area, estimate, labels_needed, ratio_interval, summarise

LABELS = [10, 20, 40]


def test_the_area_is_the_mean_f1_over_the_range_of_labels():
    # trapezoids: 10 x (0.5 + 0.7) / 2 + 20 x (0.7 + 0.9) / 2 = 6 + 16, over 30
    assert area(LABELS, np.array([[0.5, 0.7, 0.9]])) == pytest.approx([22 / 30])


def test_a_flat_curve_has_its_f1_as_area():
    assert area(LABELS, np.full((2, 3), 0.8)) == pytest.approx([0.8, 0.8])


def test_labels_needed_lie_linearly_between_points():
    assert labels_needed(LABELS, np.array([0.5, 0.7, 0.9]), 0.75) == pytest.approx(25)


def test_a_point_that_meets_the_target_is_enough():
    assert labels_needed(LABELS, np.array([0.5, 0.7, 0.9]), 0.7) == pytest.approx(20)


def test_the_first_crossing_counts_though_the_curve_falls_again():
    assert labels_needed(LABELS, np.array([0.5, 0.9, 0.6]), 0.7) == pytest.approx(15)


def test_a_curve_that_begins_above_the_target_needs_its_first_point_at_most():
    assert labels_needed(LABELS, np.array([0.8, 0.9, 0.9]), 0.7) == 10


def test_a_curve_that_never_reaches_the_target_has_no_number():
    assert labels_needed(LABELS, np.array([0.5, 0.6, 0.69]), 0.7) is None


def test_the_ratio_is_of_means_over_seeds():
    baseline = np.array([[0.5, 0.6, 0.7], [0.5, 0.6, 0.9]])  # ends at 0.8
    curves = np.array([[0.5, 0.9, 0.9], [0.5, 0.9, 0.9]])  # there after 10 + 10 x 3 / 4 labels
    summary = summarise(LABELS, curves, baseline)
    assert summary.needed == pytest.approx(17.5)
    assert summary.ratio == pytest.approx(40 / 17.5)
    assert summary.lift == pytest.approx(0.9 - 0.5)


def test_never_reached_is_no_ratio_rather_than_a_guess():
    summary = summarise(LABELS, np.full((3, 3), 0.5), np.full((3, 3), 0.6))
    assert summary.needed is None
    assert summary.ratio is None
    assert summary.interval == (None, None)


def test_the_baseline_needs_the_labels_it_has_where_its_curve_rises():
    rising = np.array([[0.5, 0.6, 0.7], [0.4, 0.6, 0.8]])
    summary = summarise(LABELS, rising, rising)
    assert summary.ratio == pytest.approx(1)
    assert summary.interval == pytest.approx((1, 1))  # each draw takes the same seeds of both
    assert summary.f1_difference.mean == 0
    assert summary.aubc_difference.interval == (0, 0)


def test_an_interval_is_student_s_t_over_seeds():
    # standard error 1 / sqrt(3), quantile 4.3027 at two degrees of freedom
    found = estimate(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.interval == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_differences_are_paired_so_that_a_constant_gain_is_certain():
    baseline = np.random.default_rng(0).uniform(0.5, 0.6, (6, 3))
    summary = summarise(LABELS, baseline + 0.1, baseline)
    assert summary.f1_difference.interval == pytest.approx((0.1, 0.1))
    assert summary.f1.interval[1] - summary.f1.interval[0] > 0.01


def test_the_ratio_s_interval_holds_the_ratio_and_narrows_with_seeds():
    random = np.random.default_rng(0)

    def interval(seeds):
        baseline = np.array([0.5, 0.6, 0.7]) + random.normal(0, 0.02, (seeds, 1))
        curves = np.array([0.5, 0.8, 0.9]) + random.normal(0, 0.02, (seeds, 1))
        low, high = ratio_interval(LABELS, curves, baseline)
        assert low <= summarise(LABELS, curves, baseline).ratio <= high
        return high - low

    assert interval(50) < interval(5)


def test_an_end_of_the_interval_that_the_run_cannot_tell_is_none():
    baseline = np.tile([0.5, 0.6, 0.7], (4, 1))
    curves = np.array([[0.5, 0.6, 0.65], [0.5, 0.9, 0.9], [0.5, 0.6, 0.65], [0.5, 0.6, 0.65]])
    low, high = ratio_interval(LABELS, curves, baseline)
    assert low is None
    assert high > 1


def test_a_single_seed_has_no_interval():
    one = np.array([[0.5, 0.6, 0.7]])
    assert estimate(one[:, -1]).interval is None
    assert ratio_interval(LABELS, one, one) == (None, None)


def test_the_baseline_reaches_its_own_end_in_every_draw():
    noisy = np.random.default_rng(1).uniform(0.5, 0.9, (20, 3)) + np.array(
        [0, 0.1, 0.2]
    )  # means of 20 round differently by axis
    summary = summarise(LABELS, noisy, noisy)
    assert summary.ratio == pytest.approx(1)
    assert summary.interval == pytest.approx((1, 1))
