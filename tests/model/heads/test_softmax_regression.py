"""Logistic regressions fitted together, against scikit-learn and against each other."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from model.heads.logistic import INVERSE_REGULARISATION, fit_logistic
from tests.model.made_up import images


def probabilities(weights, bias, embeddings):
    return softmax(embeddings @ weights.T + bias, axis=1)


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("dimensions", [20, 300])
def test_a_fit_is_that_of_scikit_learn(classes, dimensions):
    embeddings, labels = images(60, dimensions, classes, apart=0.5)
    unseen, _ = images(300, dimensions, classes, apart=0.5, seed=1)
    weights, bias = fit_logistic(embeddings, labels, classes, np.ones((1, 60), bool))
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", tol=1e-9, max_iter=10_000)
    expected = model.fit(embeddings.astype(float), labels).predict_proba(unseen)
    assert probabilities(weights[0], bias[0], unseen) == pytest.approx(expected, abs=5e-3)


def test_fits_on_parts_are_those_of_each_part_by_itself():
    embeddings, labels = images(80, apart=0.5)
    parts = np.random.default_rng(0).random((7, 80)) < np.linspace(0.2, 1, 7)[:, None]
    weights, bias = fit_logistic(embeddings, labels, 3, parts)
    for i, part in enumerate(parts):
        alone = fit_logistic(embeddings[part], labels[part], 3, np.ones((1, part.sum()), bool))
        expected = probabilities(alone[0][0], alone[1][0], embeddings)
        assert probabilities(weights[i], bias[i], embeddings) == pytest.approx(expected, abs=5e-3)


def test_a_class_without_labels_in_a_part_has_zeros_there_alone():
    embeddings, labels = images(60)
    weights, bias = fit_logistic(embeddings, labels, 4, np.stack([labels < 2, labels >= 0]))
    assert not weights[0, 2:].any()
    assert not bias[0, 2:].any()
    assert weights[1, :3].any(axis=1).all()
    assert not weights[1, 3].any()


@pytest.mark.parametrize("rows", [np.zeros((1, 30), bool), images(30)[1][None] == 1])
def test_less_than_two_classes_teach_nothing(rows):
    embeddings, labels = images(30)
    weights, bias = fit_logistic(embeddings, labels, 3, rows)
    assert not weights.any()
    assert not bias.any()


def test_equal_embeddings_of_different_classes_end_in_finite_weights():
    same = np.full((30, 16), 0.25, np.float32)
    weights, bias = fit_logistic(same, np.arange(30) % 3, 3, np.ones((1, 30), bool))
    assert np.isfinite(weights).all()
    assert probabilities(weights[0], bias[0], same) == pytest.approx(1 / 3, abs=1e-3)
