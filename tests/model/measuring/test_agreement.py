"""Krippendorff's alpha as its author published it, and what it does where answers are few."""

import numpy as np
import pytest

from model.measuring.agreement import krippendorff, share_interval

# Krippendorff 2011, section C: four observers, twelve units, five classes; 0 is no answer
MISSING_DATA = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]
# section A: two observers, ten units, two classes; section B: two observers, twelve units, five classes
BINARY = [[1, 2, 1, 1, 1, 1, 1, 1, 1, 1], [2, 2, 2, 1, 1, 2, 1, 2, 1, 1]]
NOMINAL = [[1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1], [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4]]


def counts(answers):
    """How many people gave each class to each unit."""
    answers = np.array(answers)
    return np.stack([(answers == choice).sum(axis=0) for choice in range(1, answers.max() + 1)], axis=1)


@pytest.mark.parametrize(("answers", "published"), [(MISSING_DATA, 0.743), (NOMINAL, 0.692), (BINARY, 0.095)])
def test_alpha_is_what_its_author_published(answers, published):
    found = krippendorff(counts(answers))
    assert found
    assert round(found.value, 3) == published


def test_people_who_always_agree_have_an_alpha_of_one():
    found = krippendorff(np.array([[2, 0], [0, 3], [2, 0]]))
    assert found
    assert (found.value, found.interval) == (1.0, (1.0, 1.0))


def test_people_who_answer_by_chance_have_an_alpha_of_about_zero():
    answers = np.random.default_rng(0).integers(1, 4, size=(2, 3000))
    found = krippendorff(counts(answers))
    assert found
    low, high = found.interval
    assert low < 0 < high
    assert high - low < 0.1


def test_people_who_always_disagree_are_below_chance():
    found = krippendorff(np.array([[1, 1]] * 50))
    assert found
    assert found.value < 0


@pytest.mark.parametrize("given", [[[1, 0], [0, 1]], [[2, 0], [3, 0]], np.zeros((0, 2), int)])
def test_alpha_is_undefined_without_pairs_or_with_one_class(given):
    assert krippendorff(np.array(given, np.int64)) is None


def test_units_with_one_answer_tell_nothing():
    few, more = np.array([[2, 0], [1, 1], [0, 2]]), np.array([[2, 0], [1, 1], [0, 2], [1, 0], [0, 0]])
    assert krippendorff(few) == krippendorff(more)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Two people who each err in one answer of ten, on two classes: the truth is the alpha of very many images."""
    random = np.random.default_rng(1)

    def sample(units):
        truth = random.integers(2, size=units)
        return counts([(truth ^ (random.random(units) < 0.1)) + 1 for _ in range(2)])

    whole = krippendorff(sample(200_000))
    assert whole
    found = [krippendorff(sample(80)) for _ in range(200)]
    covered = sum(f is not None and f.interval[0] <= whole.value <= f.interval[1] for f in found)
    assert 175 <= covered <= 198


def test_the_interval_of_a_share_is_wilsons():
    low, high = share_interval(9, 10)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)  # Wilson 1927, as in Brown, Cai and DasGupta 2001
    assert share_interval(0, 5)[0] == pytest.approx(0)
    assert share_interval(5, 5)[1] == pytest.approx(1)
