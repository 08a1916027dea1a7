"""The classifier where an image may be of several classes or of none, against scikit-learn and against values by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from model.heads.head import Head, IndependentHead, cross_fit, fit_head, probabilities_of_each
from model.heads.learner import Learner
from model.heads.logistic import INVERSE_REGULARISATION
from tests.strategies.made_up import normalised


def sets(n=80, classes=3, seed=0, dimensions=40):
    """Images whose embedding is the sum of directions of their classes, and noise: (embeddings, bool (n, classes))."""
    directions = np.random.default_rng(7).normal(size=(classes, dimensions))
    random = np.random.default_rng(seed)
    labels = random.random((n, classes)) < np.linspace(0.5, 0.2, classes)
    return normalised(labels @ directions + random.normal(size=(n, dimensions))), labels


@pytest.mark.parametrize("n", [30, 80])  # fewer images than dimensions, and more
def test_each_class_is_decided_as_scikit_learn_decides_it(n):
    embeddings, labels = sets(n)
    unseen, _ = sets(300, seed=1)
    p = fit_head(Learner(embeddings, labels, 3)).probabilities(unseen)
    for number in range(3):
        model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", tol=1e-8, max_iter=10_000)
        expected = model.fit(embeddings, labels[:, number]).predict(unseen)
        assert ((p[:, number] >= 0.5) == expected).mean() >= 0.97


def test_probabilities_are_calibrated_each_for_itself():
    embeddings, labels = sets(300)
    p = fit_head(Learner(embeddings, labels, 3)).probabilities(sets(2000, seed=1)[0])
    truth = sets(2000, seed=1)[1]
    assert p.dtype == np.float32
    assert not np.allclose(p.sum(axis=1), 1, atol=0.2)
    sure = np.abs(p - 0.5) > 0.4
    assert ((p >= 0.5) == truth)[sure].mean() > 0.9


def test_a_class_with_one_answer_only_goes_by_the_rule_of_succession():
    embeddings, labels = sets(20)
    labels[:, 1], labels[:, 2] = False, True
    p = fit_head(Learner(embeddings, labels, 3)).probabilities(embeddings)
    assert p[:, 1] == pytest.approx(1 / 22)
    assert p[:, 2] == pytest.approx(21 / 22)
    assert p[:, 0].std() > 0.1


def test_it_knows_something_once_one_class_has_both_answers():
    embeddings, labels = sets(4)
    labels[:] = False
    assert not fit_head(Learner(embeddings, labels, 3)).separates
    labels[0, 1] = True
    assert fit_head(Learner(embeddings, labels, 3)).separates


def test_one_label_is_no_obstacle():
    embeddings, labels = sets(1)
    head = fit_head(Learner(embeddings, labels, 3))
    assert head.probabilities(embeddings).shape == (1, 3)
    assert cross_fit(Learner(embeddings, labels, 3), np.ones(1, bool), 1.0).tolist() == [[0.5, 0.5, 0.5]]


def test_cross_fitted_probabilities_come_from_heads_that_have_not_seen_the_image():
    embeddings, labels = sets(120)
    shuffled = np.random.default_rng(0).permutation(labels)
    p = cross_fit(Learner(embeddings, shuffled, 3), np.ones(120, bool), 1.0)
    assert ((p >= 0.5) == shuffled).mean() < 0.65  # a head that has seen them knows nearly all
    p = cross_fit(Learner(embeddings, labels, 3), np.ones(120, bool), 1.0)
    assert ((p >= 0.5) == labels).mean() > 0.75


def test_a_head_is_read_as_the_kind_that_was_written(tmp_path):
    embeddings, labels = sets()
    several, single = fit_head(Learner(embeddings, labels, 3)), fit_head(Learner(embeddings, labels[:, 0].astype(int), 2))
    several.save(tmp_path / "several")
    single.save(tmp_path / "single")
    read = Head.load(tmp_path / "several")
    assert isinstance(read, IndependentHead)
    assert read.independent
    assert (read.probabilities(embeddings) == several.probabilities(embeddings)).all()
    assert not Head.load(tmp_path / "single").independent


def test_heads_asked_together_answer_as_one_by_one():
    embeddings, labels = sets()
    heads = [fit_head(Learner(embeddings[:n], labels[:n], 3)) for n in (2, 30, 80)]
    together = probabilities_of_each(heads, embeddings)
    for head, p in zip(heads, together, strict=True):
        np.testing.assert_allclose(p, head.probabilities(embeddings), atol=1e-6)


def test_labels_of_other_classes_than_there_are_are_refused():
    embeddings, labels = sets()
    with pytest.raises(ValueError, match="do not fit 4 classes"):
        Learner(embeddings, labels, 4)
