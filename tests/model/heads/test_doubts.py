"""Labels that are likely wrong are found, and right ones are mostly left alone; cleanlab says the same."""

import numpy as np
import pytest

from model.heads.doubts import find_doubts, find_set_doubts

CLASSES = 3


def made_up(n=600, flipped=30, sure=4.0, seed=0):
    """n labels, of which the first `flipped` are wrong, and what an honest head gives that never saw them."""
    random = np.random.default_rng(seed)
    truth = random.integers(CLASSES, size=n)
    logits = random.normal(size=(n, CLASSES))
    logits[np.arange(n), truth] += sure
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    labels = truth.copy()
    labels[:flipped] = (truth[:flipped] + random.integers(1, CLASSES, size=flipped)) % CLASSES
    return labels, truth, p


def test_wrong_labels_are_found_and_what_they_should_be():
    labels, truth, p = made_up()
    doubts = find_doubts(labels, p)
    assert (doubts.rows[:20] < 30).mean() >= 0.9
    assert (np.isin(np.arange(30), doubts.rows)).mean() >= 0.75
    wrong = doubts.rows < 30
    assert (doubts.suggested[wrong] == truth[doubts.rows[wrong]]).mean() >= 0.9


def test_the_least_probable_label_comes_first():
    labels, _, p = made_up()
    doubts = find_doubts(labels, p)
    assert (np.diff(doubts.given) >= 0).all()
    assert np.allclose(doubts.given, p[doubts.rows, labels[doubts.rows]])
    assert (doubts.suggested != labels[doubts.rows]).all()


def test_right_labels_are_left_alone():
    labels, _, p = made_up(flipped=0, sure=8.0)
    assert len(find_doubts(labels, p).rows) <= 6


def test_a_head_that_is_too_sure_of_one_class_does_not_put_the_others_in_doubt():
    labels, _, p = made_up(sure=2.0)
    biased = p * np.array([3.0, 1.0, 1.0])
    biased /= biased.sum(axis=1, keepdims=True)
    taken_at_its_word = (biased.argmax(axis=1) != labels).sum()
    assert len(find_doubts(labels, biased).rows) < 0.7 * taken_at_its_word


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1], [2, 2, 1]])
def test_few_labels_and_classes_without_any_raise_nothing(labels):
    p = np.full((len(labels), CLASSES), 1 / CLASSES)
    assert len(find_doubts(np.array(labels), p).rows) == 0


def test_a_class_of_which_nobody_is_sure_is_not_all_wrong():
    labels, _, p = made_up(flipped=0, sure=5.0)
    rare = np.append(labels, [2])
    assert len(find_doubts(rare, np.vstack([p, [0.4, 0.35, 0.25]])).rows) <= 12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sure", [1.5, 3.0])
def test_cleanlab_doubts_the_same_labels(seed, sure):
    """Up to what it rounds otherwise: one label for each pair of classes."""
    filters, ranks = pytest.importorskip("cleanlab.filter"), pytest.importorskip("cleanlab.rank")
    labels, _, p = made_up(flipped=60, sure=sure, seed=seed)
    theirs = np.flatnonzero(filters.find_label_issues(labels, p, filter_by="prune_by_noise_rate", n_jobs=1))
    ours = find_doubts(labels, p)
    assert len(theirs) > 30
    assert len(np.setxor1d(ours.rows, theirs)) <= CLASSES * (CLASSES - 1)
    assert np.allclose(ours.given, ranks.get_self_confidence_for_each_label(labels, p)[ours.rows])


def made_up_sets(n=500, flipped=25, seed=0):
    """Sets of classes, of which the first `flipped` have one class too many or too few, and what honest heads give."""
    random = np.random.default_rng(seed)
    truth = random.random((n, CLASSES)) < [0.5, 0.3, 0.1]
    p = 1 / (1 + np.exp(-(np.where(truth, 3.0, -3.0) + random.normal(size=truth.shape))))
    labels = truth.copy()
    labels[np.arange(flipped), random.integers(CLASSES, size=flipped)] ^= True
    return labels, truth, p


def test_a_class_too_many_or_too_few_is_found():
    labels, truth, p = made_up_sets()
    rows, suggested, least = find_set_doubts(labels, p)
    assert np.isin(np.arange(25), rows).mean() >= 0.8
    assert (rows[:15] < 25).mean() >= 0.9
    wrong = rows < 25
    assert (suggested[wrong] == truth[rows[wrong]]).all(axis=1).mean() >= 0.8
    assert (np.diff(least) >= 0).all()


def test_sets_without_any_label_raise_nothing():
    assert len(find_set_doubts(np.zeros((0, 3), bool), np.zeros((0, 3)))[0]) == 0


@pytest.mark.parametrize("seed", range(3))
def test_cleanlab_doubts_the_same_sets(seed):
    filters = pytest.importorskip("cleanlab.multilabel_classification.filter")
    labels, _, p = made_up_sets(flipped=60, seed=seed)
    listed = [np.flatnonzero(row).tolist() for row in labels]
    theirs = np.flatnonzero(filters.find_label_issues(listed, p, n_jobs=1))
    assert len(theirs) > 30
    assert len(np.setxor1d(find_set_doubts(labels, p)[0], theirs)) <= 2 * CLASSES
