"""What a learner refuses, and when it learns from the pool."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from model.heads import learner, selftraining
from model.heads.learner import POOL_HELPS, Learner
from model.heads.logistic import fit_logistic
from model.heads.softmax_regression import Regressions
from tests.model.made_up import images


def is_plain(taught):
    """Whether it learns as from the labels alone."""
    everything = np.ones((1, len(taught.labels)), bool)
    weights, bias = fit_logistic(taught.embeddings, taught.labels, taught.classes, everything)
    found = taught.fit(everything)
    return (found[0] == weights).all() and (found[1] == bias).all()


def test_the_pool_teaches():
    embeddings, labels = images(100, apart=0.3)
    assert not is_plain(Learner(embeddings[:40], labels[:40], 3, embeddings[40:]))


def test_an_empty_pool_changes_nothing():
    embeddings, labels = images(40)
    assert is_plain(Learner(embeddings, labels, 3, embeddings[:0]))


@pytest.mark.parametrize(("labels", "plain"), [(POOL_HELPS, False), (POOL_HELPS + 1, True)])
def test_with_very_many_labels_the_pool_is_left_alone(labels, plain):
    embeddings, classes = images(POOL_HELPS + 200, apart=0.3)
    assert is_plain(Learner(embeddings[:labels], classes[:labels], 3, embeddings[labels:])) == plain


def test_the_pool_is_read_for_the_first_fit_that_needs_it_and_once(monkeypatch):
    read, basis = [], selftraining.principal_basis
    monkeypatch.setattr(selftraining, "principal_basis", lambda *args: read.append(1) or basis(*args))
    embeddings, labels = images(100)
    both = Learner(embeddings[:40], labels[:40], 3, embeddings[40:])
    assert len(read) == 0
    both.fit((labels[:40] < 2)[None])
    both.fit(np.ones((1, 40), bool))
    assert len(read) == 1


def test_fits_in_parts_to_save_memory_are_those_of_all_at_once(monkeypatch):
    embeddings, labels = images(100, apart=0.3)
    rows = np.random.default_rng(0).random((5, 40)) < 0.7
    at_once = Learner(embeddings[:40], labels[:40], 3, embeddings[40:]).fit(rows)
    monkeypatch.setattr(learner, "TOGETHER", 1)
    for one, other in zip(at_once, Learner(embeddings[:40], labels[:40], 3, embeddings[40:]).fit(rows), strict=True):
        assert other == pytest.approx(one, abs=0.02)


@pytest.mark.parametrize("pool", [None, images(100)[0]])
def test_fits_keep_to_one_thread_as_threads_that_wait_for_each_other_take_five_times_as_long(pool, monkeypatch):
    used, fit = [], Regressions.fit

    def watched(*args, **rest):
        used.extend(library["num_threads"] for library in threadpool_info())
        return fit(*args, **rest)

    monkeypatch.setattr(Regressions, "fit", watched)
    embeddings, labels = images(40)
    with threadpool_limits(2):
        Learner(embeddings, labels, 3, pool).fit(np.ones((1, 40), bool))
        assert max(library["num_threads"] for library in threadpool_info()) == 2
    assert set(used) == {1}


@pytest.mark.parametrize("n", [0, 2, 4])
def test_labels_that_do_not_fit_three_images_are_refused(n):
    with pytest.raises(ValueError, match=f"{n} labels do not fit 3 embeddings"):
        Learner(images(3)[0], np.zeros(n, np.int64), 2)


def test_no_labels_at_all_are_refused():
    with pytest.raises(ValueError, match="0 labels"):
        Learner(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 2)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match=r"labels outside \[0, 3\)"):
        Learner(images(2)[0], np.array([0, label]), 3)
