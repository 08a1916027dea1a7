"""The head that learns from the unlabelled pool too."""

import numpy as np
import pytest

from model.heads.head import cross_fit, fit_head
from model.heads.learner import Learner
from model.heads.logistic import equal_shares
from model.heads.selftraining import SAMPLE, SelfTraining


def crowds(n, seed=0, apart=1.0, dimensions=40, classes=3):
    """Images in round crowds, of which a few labels tell the middle badly and the pool tells it well."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, dimensions))
    labels = random.integers(classes, size=n)
    found = apart * centres[labels] + 2 * random.normal(size=(n, dimensions))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), labels


def accuracy(head, embeddings, labels):
    return float((head.probabilities(embeddings).argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_pool_makes_few_labels_go_further(classes):
    test = crowds(1000, 1000, classes=classes)
    better = []
    for seed in range(8):
        embeddings, labels = crowds(500, seed, classes=classes)
        few, pool = slice(0, 6 * classes), slice(6 * classes, None)
        plain = fit_head(Learner(embeddings[few], labels[few], classes))
        taught = fit_head(Learner(embeddings[few], labels[few], classes, pool=embeddings[pool]))
        better.append(accuracy(taught, *test) - accuracy(plain, *test))
    assert np.mean(better) > 0.03
    assert np.mean(np.array(better) > 0) > 0.7


def test_equal_seeds_give_equal_heads():
    embeddings, labels = crowds(4000)
    heads = [fit_head(Learner(embeddings[:30], labels[:30], 3, embeddings[30:], seed=7)) for _ in range(2)]
    assert (heads[0].weights == heads[1].weights).all()
    assert heads[0].temperature == heads[1].temperature


def test_labels_of_one_class_make_a_head_that_knows_no_other():
    embeddings, _ = crowds(50)
    head = fit_head(Learner(embeddings[:5], np.ones(5, np.int64), 3, pool=embeddings[5:]))
    assert not head.weights.any()
    assert (head.probabilities(embeddings).argmax(axis=1) == 1).all()


def test_a_class_without_a_label_is_never_guessed():
    embeddings, labels = crowds(300)
    two = np.flatnonzero(labels < 2)[:20]
    head = fit_head(Learner(embeddings[two], labels[two] * 2, 3, pool=embeddings))
    assert not head.weights[1].any()
    assert not (head.probabilities(embeddings).argmax(axis=1) == 1).any()


@pytest.mark.parametrize("pool", [1, 2, 3000])
def test_any_size_of_pool_will_do(pool):
    embeddings, labels = crowds(20 + pool)
    head = fit_head(Learner(embeddings[:20], labels[:20], 3, pool=embeddings[20:]))
    assert accuracy(head, embeddings[:20], labels[:20]) > 0.8


def test_identical_embeddings_are_no_trouble():
    same = np.full((30, 16), 0.25, np.float32)
    p = fit_head(Learner(same[:10], np.arange(10) % 3, 3, pool=same[10:])).probabilities(same)
    assert np.isfinite(p).all()


def test_a_large_pool_is_sampled():
    embeddings, labels = crowds(SAMPLE + 500)
    assert len(SelfTraining.read(embeddings[:9], labels[:9], 3, embeddings[9:], 0).inputs) == 9 + SAMPLE


def test_a_held_out_image_is_predicted_without_its_label():
    """Were the label of a held-out image used, random labels would be guessed better than by chance."""
    embeddings, _ = crowds(240, apart=0)
    labels = np.random.default_rng(5).integers(2, size=120)
    held = np.ones(120, bool)
    p = cross_fit(Learner(embeddings[:120], labels, 2, pool=embeddings[120:]), held, 1.0)
    assert (p.argmax(axis=1) == labels).mean() < 0.62


def test_every_class_has_an_equal_share_of_the_weight():
    labels, weights = np.array([0, 0, 0, 2]), np.array([1.0, 2.0, 1.0, 0.1])
    assert equal_shares(labels[None], weights[None], 3)[0] == pytest.approx([0.125, 0.25, 0.125, 0.5])


def test_guesses_nobody_trusts_weigh_nothing():
    assert (equal_shares(np.array([[0, 1]]), np.zeros((1, 2)), 2) == 0).all()


def test_it_stays_calibrated():
    """Out-of-fold logits tell the temperature: believing its own guesses makes the head no surer than it may be."""
    errors = []
    for seed in range(5):
        embeddings, labels = crowds(600, seed)
        head = fit_head(Learner(embeddings[:60], labels[:60], 3, pool=embeddings[60:300]))
        p = head.probabilities(embeddings[300:])
        errors.append(abs(p.max(axis=1).mean() - (p.argmax(axis=1) == labels[300:]).mean()))
    assert np.mean(errors) < 0.1


def test_a_held_image_is_to_its_heads_what_an_image_of_the_pool_is():
    """Without that, heads are less sure of the images that they are judged on than of those that they are to guess."""
    for seed in range(4):
        embeddings, labels = crowds(300, seed)
        learner = Learner(embeddings[:60], labels[:60], 3, embeddings[60:], seed)
        taught = np.arange(60)[None] >= 20
        among, apart = (learner.fit(taught, among_pool) for among_pool in (True, False))
        surer = [(embeddings[:20] @ weights[0].T + bias[0]).max(axis=1).mean() for weights, bias in (among, apart)]
        assert surer[0] > surer[1] + 0.05
