"""Probabilities of held images: by heads that never saw them."""

import numpy as np
import pytest

from model.heads.head import cross_fit, fit_head, out_of_bag
from model.heads.learner import Learner
from tests.model.made_up import images, uncalibrated


def cross(embeddings, labels, classes, held=None, temperature=1.0):
    held = np.ones(len(labels), bool) if held is None else held
    return cross_fit(Learner(embeddings, labels, classes), held, temperature)


def test_random_labels_are_guessed_no_better_than_by_chance():
    embeddings, labels = images(300, 400, apart=0)
    seen = fit_head(Learner(embeddings, labels, 3)).probabilities(embeddings).argmax(axis=1)
    held = cross(embeddings, labels, 3).argmax(axis=1)
    assert (seen == labels).mean() > 0.95
    assert (held == labels).mean() < 0.42


def test_the_only_image_of_a_class_is_predicted_by_a_head_that_never_saw_the_class():
    embeddings, _ = images(11)
    labels = np.array([0] * 5 + [1] * 5 + [2])
    assert cross(embeddings, labels, 3, labels == 2)[0, 2] == pytest.approx(1 / (10 + 3))


def test_images_that_are_not_held_train_every_fold():
    embeddings, labels = images(60)
    held = np.arange(60) == 59
    alone = uncalibrated(fit_head(Learner(embeddings[:59], labels[:59], 3)), embeddings[59:])
    assert cross(embeddings, labels, 3, held) == pytest.approx(alone, abs=1e-5)


def test_held_images_are_predicted_in_their_order():
    embeddings, labels = images(120)
    held = np.random.default_rng(0).random(120) < 0.4
    p = cross(embeddings, labels, 3, held)
    assert p.shape == (held.sum(), 3)
    assert (p.argmax(axis=1) == labels[held]).mean() > 0.9


def test_nothing_held_predicts_nothing():
    embeddings, labels = images(6)
    assert cross(embeddings, labels, 3, np.zeros(6, bool)).shape == (0, 3)


def test_a_single_label_that_is_held_says_nothing():
    embeddings, labels = images(1)
    assert cross(embeddings, labels, 4).tolist() == [[0.25] * 4]


def test_cross_fitting_is_the_same_on_every_call():
    embeddings, labels = images(40, apart=0.2)
    assert (cross(embeddings, labels, 3) == cross(embeddings, labels, 3)).all()


def test_out_of_bag_heads_are_silent_on_what_they_learned():
    embeddings, labels = images(60)
    held = np.arange(60) < 40
    answers = out_of_bag(Learner(embeddings, labels, 3), held, [15, 15, 60])
    assert (answers[2] == -1).all()
    assert 0 < (answers[0] == -1).sum() <= 15
    assert (answers[0] != answers[1]).any()


def test_out_of_bag_heads_never_saw_what_they_answer():
    embeddings, labels = images(300, 400, apart=0)
    answers = out_of_bag(Learner(embeddings, labels, 3), np.ones(300, bool), [150] * 4)
    assert (answers[answers >= 0] == np.tile(labels, (4, 1))[answers >= 0]).mean() < 0.42


def test_more_labels_make_better_out_of_bag_heads():
    embeddings, labels = images(240, apart=0.3)
    answers = out_of_bag(Learner(embeddings, labels, 3), np.ones(240, bool), [12] * 6 + [160] * 6)
    few, many = ((a[a >= 0] == np.tile(labels, (6, 1))[a >= 0]).mean() for a in (answers[:6], answers[6:]))
    assert many > few + 0.05
