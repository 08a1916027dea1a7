"""Annotators who err: how often, and what they say instead."""

import numpy as np
import pytest

from backend.simulate.crowd.people import LIKE, OTHERS, UNIFORM, Crowd

LABELS = np.arange(6000) % 3


def errors(crowd):
    """Whether each answer is wrong, and by whom it is, (n, people)."""
    order, said = crowd.answers(LABELS, 3, seed=0)
    return said != LABELS[:, None], order


@pytest.mark.parametrize("confusion", [UNIFORM, LIKE])
def test_so_many_of_all_answers_are_wrong(confusion):
    wrong, _ = errors(Crowd(3, 0.1, confusion))
    assert wrong.mean() == pytest.approx(0.1, abs=0.005)


def test_some_people_err_twice_as_often_as_others():
    wrong, order = errors(Crowd(3, 0.1))
    rates = [wrong[order == person].mean() for person in range(3)]
    assert rates[1] / rates[0] == pytest.approx(2, abs=0.3)
    assert rates[2] / rates[1] == pytest.approx(2, abs=0.3)


def test_nobody_is_asked_twice_about_an_image():
    _, order = errors(Crowd(2, 0.1))
    assert (np.sort(order, axis=1) == np.arange(2 + OTHERS)).all()


def test_uniform_errors_are_any_other_class_and_alike_ones_the_next():
    for confusion, shares in ((UNIFORM, (0.5, 0.5)), (LIKE, (1.0, 0.0))):
        _, said = Crowd(1, 0.2, confusion).answers(LABELS, 3, seed=1)
        away = (said - LABELS[:, None]) % 3
        assert ((away == 1).sum() / (away > 0).sum(), (away == 2).sum() / (away > 0).sum()) == pytest.approx(shares, abs=0.03)


def test_equal_seeds_give_equal_answers():
    one, other, third = (Crowd(1, 0.2).answers(LABELS, 3, seed)[1] for seed in (0, 0, 1))
    assert (one == other).all()
    assert (one != third).any()
