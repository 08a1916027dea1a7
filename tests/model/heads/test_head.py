"""The classifier on embeddings, against scikit-learn and against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors import SafetensorError
from sklearn.linear_model import LogisticRegression

from model.heads.head import Head, fit_head, probabilities_of_each
from model.heads.learner import Learner
from model.heads.logistic import INVERSE_REGULARISATION
from tests.model.made_up import arc, images, uncalibrated


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_head_decides_as_scikit_learn_does_on_all_dimensions(classes):
    embeddings, labels = images(60, 300, classes, apart=0.5)
    unseen, _ = images(300, 300, classes, apart=0.5, seed=1)
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", tol=1e-8, max_iter=10_000)
    expected = model.fit(embeddings, labels).predict(unseen)
    assert (fit_head(Learner(embeddings, labels, classes)).probabilities(unseen).argmax(axis=1) == expected).mean() >= 0.97


@pytest.mark.parametrize("n", [3, 30, 200])
def test_probabilities_of_an_image_sum_to_1(n):
    embeddings, labels = images(n)
    p = fit_head(Learner(embeddings, labels, 7)).probabilities(images(50, seed=1)[0])
    assert p.shape == (50, 7)
    assert p.dtype == np.float32
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_no_images_have_no_probabilities():
    assert fit_head(Learner(*images(9), 3)).probabilities(np.zeros((0, 40), np.float32)).shape == (0, 3)


def test_an_unseen_class_gets_its_share_by_the_rule_of_succession():
    embeddings, labels = images(20, classes=2)
    p = fit_head(Learner(embeddings, labels * 2, 5)).probabilities(embeddings)
    assert p[:, [1, 3, 4]] == pytest.approx(1 / (20 + 5))


@pytest.mark.parametrize("n", [1, 2, 10])
def test_an_unseen_class_never_wins(n):
    embeddings, labels = images(n, classes=2)
    p = fit_head(Learner(embeddings, labels, 50)).probabilities(images(200, seed=1)[0])
    assert np.isin(p.argmax(axis=1), labels).all()


def test_labels_of_one_class_make_a_head_that_knows_no_other():
    embeddings, _ = images(5)
    p = fit_head(Learner(embeddings, np.full(5, 1), 3)).probabilities(embeddings)
    assert p == pytest.approx(np.tile([1 / 8, 6 / 8, 1 / 8], (5, 1)))


def test_the_only_class_there_is_is_certain():
    embeddings, _ = images(4)
    assert fit_head(Learner(embeddings, np.zeros(4, np.int64), 1)).probabilities(embeddings).tolist() == [[1.0]] * 4


def test_separate_classes_are_told_apart():
    unseen, truth = images(300, seed=1)
    assert (fit_head(Learner(*images(30), 3)).probabilities(unseen).argmax(axis=1) == truth).mean() > 0.95


def test_the_head_counts_the_labels_of_each_class():
    embeddings, _ = images(6)
    assert fit_head(Learner(embeddings, np.array([0, 3, 3, 0, 3, 1]), 5)).counts.tolist() == [2, 1, 0, 3, 0]


@pytest.mark.parametrize("seed", range(3))
def test_ten_times_as_many_labels_of_a_class_do_not_draw_decisions_to_it(seed):
    unseen, _ = arc(1000, 1000, 99)
    p = fit_head(Learner(*arc(400, 40, seed), 2)).probabilities(unseen)
    assert p.argmax(axis=1).mean() == pytest.approx(0.5, abs=0.08)


def test_equal_labels_make_equal_heads():
    one, other = fit_head(Learner(*images(30), 3)), fit_head(Learner(*images(30), 3))
    assert (one.weights == other.weights).all()
    assert one.temperature == other.temperature


def test_noisy_labels_flatten_the_probabilities():
    embeddings, labels = images(100, apart=0)
    assert fit_head(Learner(embeddings, labels, 3)).temperature > 1.5


def test_the_temperature_makes_probabilities_of_noise_honest():
    """Where labels are noise the right confidence is a third, and the uncalibrated one is far above it."""
    head = fit_head(Learner(*images(150, apart=0), 3))
    unseen, _ = images(300, apart=0, seed=1)
    assert uncalibrated(head, unseen).max(axis=1).mean() > 0.6
    assert head.probabilities(unseen).max(axis=1).mean() < 0.45


def test_a_class_with_a_single_label_leaves_the_temperature_at_1():
    embeddings, _ = images(5)
    assert fit_head(Learner(embeddings, np.array([0, 0, 0, 0, 1]), 2)).temperature == 1.0


def test_a_temperature_changes_no_decision():
    embeddings, labels = images(60, apart=0.3)
    head = fit_head(Learner(embeddings, labels, 3))
    hot = replace(head, temperature=5.0).probabilities(embeddings)
    assert (hot.argmax(axis=1) == uncalibrated(head, embeddings).argmax(axis=1)).all()


def test_several_heads_asked_together_answer_as_one_by_one():
    embeddings, labels = images(40)
    heads = [fit_head(Learner(embeddings[rows], labels[rows], 4)) for rows in (labels < 2, labels < 3, slice(5, 20))]
    together = probabilities_of_each(heads, embeddings)
    assert together == pytest.approx(np.stack([head.probabilities(embeddings) for head in heads]), abs=1e-6)


def test_a_head_reads_back_as_it_was_written(tmp_path):
    embeddings, labels = images(40)
    head = fit_head(Learner(embeddings, labels, 4))
    head.save(tmp_path / "head.safetensors")
    loaded = Head.load(tmp_path / "head.safetensors")
    assert loaded.counts.tolist() == head.counts.tolist()
    assert loaded.probabilities(embeddings) == pytest.approx(head.probabilities(embeddings), abs=1e-6)


def test_a_broken_head_is_an_error(tmp_path):
    (tmp_path / "head.safetensors").write_bytes(b"broken")
    with pytest.raises(SafetensorError):
        Head.load(tmp_path / "head.safetensors")
