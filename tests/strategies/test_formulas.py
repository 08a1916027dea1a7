"""The scores of the pointwise strategies, against values worked out by hand and against scipy."""

import math

import numpy as np
import pytest
import scipy.stats

from strategies import pick, score
from strategies.query import Query

UNIFORM, CERTAIN, TIE, SURE = [1 / 3, 1 / 3, 1 / 3], [0, 1, 0], [0.5, 0.5, 0], [0.1, 0.2, 0.7]


def one(name, row):
    return score(name, Query(np.array([1]), np.array([row], np.float64)))[0]


@pytest.mark.parametrize(("row", "expected"), [(UNIFORM, 1 / 3), (CERTAIN, 1), (TIE, 0.5), (SURE, 0.7)])
def test_least_confidence_is_the_largest_probability(row, expected):
    assert one("least_confidence", row) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("row", "expected"), [(UNIFORM, 0), (CERTAIN, 1), (TIE, 0), (SURE, 0.5)])
def test_margin_is_the_gap_between_the_two_largest_probabilities(row, expected):
    assert one("margin", row) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("row", "expected"), [(UNIFORM, 0), (CERTAIN, 1), (TIE, 1 - math.log(2) / math.log(3))])
def test_entropy_runs_from_0_for_uniform_to_1_for_certain(row, expected):
    assert one("entropy", row) == pytest.approx(expected, abs=1e-12)


def test_entropy_agrees_with_scipy():
    p = np.random.default_rng(0).dirichlet(np.full(7, 0.3), 500)
    expected = 1 - scipy.stats.entropy(p, axis=1, base=7)
    assert score("entropy", Query(np.arange(500), p)) == pytest.approx(expected, abs=1e-12)


def test_entropy_takes_a_subnormal_probability_for_nothing():
    assert one("entropy", [1.0, 5e-324, 0]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["least_confidence", "margin", "entropy"])
def test_two_classes_are_ordered_alike_by_all_three(name):
    p = np.random.default_rng(0).random(100)
    q = Query(np.arange(100), np.column_stack([p, 1 - p]))
    assert pick(name, q, 100).tolist() == np.argsort(np.abs(p - 0.5)).tolist()


def test_margin_and_entropy_disagree_where_two_of_many_classes_tie():
    q = Query(np.arange(2), np.array([[0.5, 0.5, 0, 0], [0.4, 0.2, 0.2, 0.2]]))
    assert (pick("margin", q, 1)[0], pick("entropy", q, 1)[0]) == (0, 1)


def test_the_order_of_the_classes_does_not_matter():
    p = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    for name in ("least_confidence", "margin"):
        assert (score(name, Query(np.arange(50), p)) == score(name, Query(np.arange(50), p[:, ::-1]))).all()


def test_random_ignores_the_probabilities():
    tasks = np.arange(20)
    certain, uniform = np.eye(4)[tasks % 4], np.full((20, 4), 0.25)
    assert (score("random", Query(tasks, certain, seed="s")) == score("random", Query(tasks, uniform, seed="s"))).all()


def test_random_picks_each_task_about_equally_often_over_versions():
    picks = [pick("random", Query(np.arange(10), np.ones((10, 1)), seed=f"al-{n}"), 1)[0] for n in range(2000)]
    assert scipy.stats.chisquare(np.bincount(picks, minlength=10)).pvalue > 0.001
