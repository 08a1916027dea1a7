"""The bound of how many are wrong: against brute force, and that it holds at every moment."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import betabinom, hypergeom

from backend.learning.bounds import SURE, at_most, excluded, most_wrong


def test_without_a_check_all_may_be_wrong():
    assert most_wrong(50, 0, 0, 0.01, 0.05) == 50


def test_once_all_are_checked_the_wrong_ones_are_those_found():
    assert most_wrong(50, 50, 3, 0.01, 0.05) == 3


def test_the_bound_is_the_largest_number_that_is_not_excluded():
    for checked, found in ((20, 0), (30, 1), (45, 4)):
        most = most_wrong(60, checked, found, 0.01, 0.05)
        possible = [wrong for wrong in range(61) if not excluded(60, checked, found, wrong, 0.01, 0.05)]
        assert most == max(possible)


def test_a_number_is_excluded_just_where_brute_force_says_that_it_makes_the_answers_too_unlikely():
    size, checked, found, expected = 9, 5, 1, 0.1
    prior = betabinom(size, SURE, SURE / expected - SURE)

    def chance(wrong):
        """Of the answers in one order, over all ways in which `wrong` ones can lie among the images."""
        ways = combinations(range(size), wrong)
        return sum(set(way) & set(range(checked)) == {0} for way in ways) / comb(size, wrong)

    mean = sum(prior.pmf(wrong) * chance(wrong) for wrong in range(size + 1))
    for wrong in (4, 5):
        critical = chance(wrong) / mean
        assert 0.01 < critical < 0.9
        assert excluded(size, checked, found, wrong, expected, 1.001 * critical)
        assert not excluded(size, checked, found, wrong, expected, 0.999 * critical)


def test_what_the_answers_leave_no_room_for_is_excluded():
    assert excluded(10, 6, 1, 6, 0.01, 0.05)
    assert not excluded(10, 6, 1, 1, 0.01, 0.05)


def test_one_sample_of_a_fixed_size_is_bounded_little_better_by_the_hypergeometric_distribution():
    size = 20_000
    for checked, found in ((184, 0), (400, 2), (1000, 10)):
        most = most_wrong(size, checked, found, 0.003, 0.05)
        at_once = max(wrong for wrong in range(10, size // 20) if hypergeom.cdf(found, size, wrong, checked) > 0.05)
        assert at_once < most < 1.5 * at_once


@pytest.mark.parametrize("wrong", [2, 10, 40])
@pytest.mark.parametrize("expected", [0.002, 0.3])
def test_the_true_number_is_seldom_ever_excluded_whatever_was_expected(wrong, expected):
    random, size = np.random.default_rng(wrong), 400
    answers = np.arange(size) < wrong
    n, missed = np.arange(1, size + 1), 0
    for _ in range(1000):
        found = np.cumsum(random.permutation(answers))
        missed += excluded(size, n, found, wrong, expected, 0.05).any()
    assert missed <= 0.05 * 1000 + 3 * np.sqrt(1000 * 0.05 * 0.95)


def test_the_chance_of_few_wrong_ones_is_that_of_the_beta_binomial_distribution():
    for wrong, checks in ((0, 10), (3, 200), (7, 5)):
        assert at_most(wrong, checks, 1.5, 300.0) == pytest.approx(betabinom.cdf(wrong, checks, 1.5, 300.0))
