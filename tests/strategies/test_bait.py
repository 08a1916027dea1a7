"""BAIT against its definition, and what it does that margin does not."""

import sys

import numpy as np
import pytest

from strategies import pick
from strategies.bait import PRIOR, information, most_informative
from strategies.query import Query
from tests.strategies.made_up import clusters, normalised, probabilities

SURE, DOUBT = [0.98, 0.02], [0.5, 0.5]


def fisher(p, x):
    """The Fisher information of a linear head's weights, all classes' in one vector: (C d, C d)."""
    return np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x))


def uncertainty(prior, p, x, asked, pool):
    """trace(S M) with every matrix in full, over the pool, once the images `asked` have labels."""
    s = np.linalg.inv(prior + sum(fisher(p[i], x[i]) for i in asked))
    return np.trace(s @ sum(fisher(p[i], x[i]) for i in pool))


def test_for_two_classes_it_lowers_the_trace_of_the_full_fisher_matrices_most():
    random = np.random.default_rng(0)
    x, p = normalised(random.normal(size=(40, 5))).astype(np.float64), random.dirichlet([1, 1], size=40)
    known, pool = [*range(6)], [*range(6, 40)]
    asked = list(known)
    for _ in range(8):
        rest = [i for i in pool if i not in asked]
        asked.append(min(rest, key=lambda i: uncertainty(np.eye(10) / PRIOR, p, x, [*asked, i], pool)))
    q = Query(
        np.arange(34),
        p[6:],
        embeddings=x[6:],
        labelled=x[:6],
        labels=np.arange(6) % 2,
        labelled_probabilities=p[:6],
        seed="al-1",
    )
    assert (pick("bait", q, 8) + 6).tolist() == asked[6:]


def test_updating_the_covariance_is_inverting_it_anew():
    random = np.random.default_rng(1)
    x, u = random.normal(size=(60, 8)), random.uniform(0, 0.7, 60)
    pool = (x.T * u) @ x
    asked = []
    for _ in range(30):
        inverse = np.eye(8) / 3 + (x[asked].T * u[asked]) @ x[asked]
        left = {}
        for i in set(range(60)) - set(asked):
            left[i] = np.trace(np.linalg.inv(inverse + u[i] * np.outer(x[i], x[i])) @ pool)
        asked.append(min(left, key=left.__getitem__))
    assert most_informative(x, u, 3 * np.eye(8), pool, 30).tolist() == asked


def test_information_is_the_trace_of_the_fisher_information_of_the_logits():
    p = probabilities(20, 5)
    assert information(p) == pytest.approx([np.trace(np.diag(row) - np.outer(row, row)) for row in p])


def test_an_odd_image_is_passed_over_for_one_that_stands_for_many():
    found, of = clusters([40, 1], noise=0.3)
    p = np.array([[0.55, 0.45]] * 40 + [DOUBT])
    q = Query(np.arange(41), p, embeddings=found, seed="al-1")
    assert of[pick("margin", q, 1)].tolist() == [1]
    assert of[pick("bait", q, 1)].tolist() == [0]


def test_a_batch_is_spread_over_what_the_head_is_unsure_of():
    found, of = clusters([30] * 6, noise=0.2)
    p = np.where(of[:, None] < 4, DOUBT, SURE)
    assert sorted(of[pick("bait", Query(np.arange(180), p, embeddings=found, seed="al-1"), 4)].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("told", [{}, {"labelled_probabilities": np.array([DOUBT] * 5)}])
def test_it_keeps_away_from_what_is_labelled(told):
    found, of = clusters([40, 30], noise=0.2)
    parts = {"tasks": np.arange(65), "probabilities": np.full((65, 2), 0.5), "embeddings": found[5:], "seed": "al-1"}
    assert of[5:][pick("bait", Query(**parts), 1)].tolist() == [0]
    assert of[5:][pick("bait", Query(**parts, labelled=found[:5], **told), 1)].tolist() == [1]


def test_labels_of_what_was_certain_tell_nothing():
    found, of = clusters([45, 30], noise=0.2)
    parts = {"tasks": np.arange(70), "probabilities": np.full((70, 2), 0.5), "embeddings": found[5:], "seed": "al-1"}
    certain = Query(**parts, labelled=found[:5], labelled_probabilities=np.array([[1.0, 0.0]] * 5))
    assert of[5:][pick("bait", certain, 1)].tolist() == of[5:][pick("bait", Query(**parts), 1)].tolist() == [0]


def test_certain_images_come_last_by_the_order_of_margin():
    found, _ = clusters([10, 10])
    p = np.array([[1.0, 0.0]] * 15 + [DOUBT] * 5)
    q = Query(np.arange(20), p, embeddings=found, seed="al-1")
    picks = pick("bait", q, 20)
    assert set(picks[:5].tolist()) == set(range(15, 20))
    assert picks[5:].tolist() == [i for i in pick("margin", q, 20).tolist() if i < 15]


def test_of_a_large_pool_it_looks_at_the_lowest_margins_only(monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.bait"], "CANDIDATES", (50, 100))
    found, of = clusters([200, 200], noise=0.3)
    p = np.where(of[:, None] == 1, [0.7, 0.3], [0.9, 0.1]) + np.linspace(0, 0.01, 400)[:, None] * [1, -1]
    q = Query(np.arange(400), p, embeddings=found, seed="al-1")
    assert (of[pick("bait", q, 5)] == 1).all()
    assert (of[pick("bait", q, 60)] == 1).all()
    assert len(pick("bait", q, 150)) == 150


@pytest.mark.parametrize("shape", [(5, 4), (6, 3), (6,)])
def test_probabilities_of_what_is_labelled_must_fit_it(shape):
    found, _ = clusters([26])
    with pytest.raises(ValueError, match="labelled_probabilities of shape"):
        Query(
            np.arange(20),
            probabilities(20, 4),
            embeddings=found[:20],
            labelled=found[20:],
            labelled_probabilities=np.full(shape, 0.25),
        )
