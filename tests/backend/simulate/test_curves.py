"""A simulated round is the product's: the same queue, the same head, labels in the queue's order."""

from dataclasses import replace

import numpy as np
import pytest

from backend.learning.rounds import Labelled, Pool, Rules, rank, train
from backend.learning.slots import slot_order
from backend.simulate.curves import head_of, run_curve, sample_of, state
from backend.simulate.draw import draw
from backend.simulate.protocol import CEILING, Method, Protocol
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.measuring.metrics import macro_f1
from tests.backend.simulate.made_up import DEFAULT, MARGIN, RANDOM, clusters

SHORT = Protocol(start=10, batch=5, rounds=4)
METHODS = [RANDOM, MARGIN, DEFAULT, replace(RANDOM, cold=True)]


def by_hand(images, drawn, picked):
    """A head and what is left, without the code under test."""
    rest = np.array([row for row in drawn.pool if row not in set(picked)])
    embeddings = images.embeddings.astype(np.float32)
    nothing, everything = np.zeros(len(picked)), np.ones(len(picked), bool)
    labelled = Labelled(drawn.tasks[picked], images.labels[picked], embeddings[picked], nothing, everything)
    tasks = drawn.tasks[rest]
    return labelled, Pool(tasks, embeddings[rest], 1 + np.argsort(slot_order(tasks)))


def test_the_first_labels_after_the_start_are_the_head_of_the_product_s_queue():
    images = clusters()
    drawn = draw(images, SHORT, seed=3)
    labelled, pool = by_hand(images, drawn, drawn.start)
    head = fit_head(Learner(labelled.embeddings, labelled.labels, 3, seed=3))
    queue = rank(head, pool, labelled, Rules("margin", len(pool.tasks), 0.0, 5), "al-10-3")
    curve = run_curve(images, SHORT, MARGIN, seed=3)
    assert drawn.tasks[curve.picked[10:15]].tolist() == queue.tasks[:5].tolist()


def test_the_default_head_is_the_one_that_a_round_ships():
    images = clusters()
    drawn = draw(images, SHORT, seed=3)
    labelled, pool = by_hand(images, drawn, drawn.start)
    shipped, _ = train(labelled, pool, 3, seed=3)
    simulated = head_of(DEFAULT.head, labelled, pool, 3, seed=3)
    assert (simulated.weights == shipped.weights).all()
    assert simulated.temperature == shipped.temperature


def test_a_cold_start_is_the_product_s_first_queue():
    images = clusters()
    drawn = draw(images, SHORT, seed=0)
    labelled, pool = by_hand(images, drawn, np.zeros(0, np.int64))
    queue = rank(None, pool, labelled, Rules("margin", len(pool.tasks), 0.1, 5), "al-0-0")
    curve = run_curve(images, SHORT, DEFAULT, seed=0)
    assert drawn.tasks[curve.picked[:5]].tolist() == queue.tasks[:5].tolist()
    assert curve.labels[0] == 10


def test_a_point_is_the_macro_f1_of_a_head_on_the_labels_until_then():
    images = clusters()
    drawn, curve = draw(images, SHORT, seed=1), run_curve(images, SHORT, MARGIN, seed=1)
    embeddings = images.embeddings.astype(np.float32)
    for labels, f1 in zip(curve.labels, curve.macro_f1, strict=True):
        rows = np.array(curve.picked[:labels])
        guesses = fit_head(Learner(embeddings[rows], images.labels[rows], 3, seed=1)).probabilities(embeddings[drawn.test])
        assert f1 == macro_f1(guesses.argmax(axis=1), images.labels[drawn.test], 3)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}-cold-{method.cold}")
def test_every_label_comes_from_the_pool_and_none_twice(method):
    images = clusters(copies=1)
    drawn, curve = draw(images, SHORT, seed=0), run_curve(images, SHORT, method, seed=0)
    assert curve.labels == [10, 15, 20, 25, 30]
    assert len(set(curve.picked)) == len(curve.picked) == 30
    assert set(curve.picked) <= set(drawn.pool)
    assert len(curve.macro_f1) == len(curve.ece) == 5


def test_strategies_of_a_seed_begin_with_the_same_labels_and_the_same_f1():
    images = clusters()
    curves = [run_curve(images, SHORT, replace(MARGIN, strategy=name), seed=2) for name in ("random", "margin", "entropy")]
    assert len({tuple(curve.picked[:10]) for curve in curves}) == 1
    assert len({curve.macro_f1[0] for curve in curves}) == 1
    assert len({tuple(curve.picked[10:]) for curve in curves}) == 3


def test_equal_seeds_give_equal_curves():
    images = clusters()
    assert run_curve(images, SHORT, DEFAULT, seed=4) == run_curve(images, SHORT, DEFAULT, seed=4)


def test_a_curve_goes_on_to_the_pool_s_end():
    images = clusters(n=30)
    curve = run_curve(images, Protocol(start=4, batch=6, rounds=100), MARGIN, seed=0)
    assert curve.labels == [4, 10, 16, 21]
    assert set(curve.picked) == set(draw(images, Protocol(), 0).pool)


def test_a_start_that_is_no_multiple_of_the_batch_is_met_by_a_cold_start():
    curve = run_curve(clusters(), Protocol(start=13, batch=5, rounds=2), DEFAULT, seed=0)
    assert curve.labels == [13, 18, 23]
    assert len(curve.picked) == 23


def test_one_query_picks_its_whole_batch_from_the_base_model():
    images = clusters()
    once = Protocol(start=10, batch=40, rounds=1, one_shot=True)
    drawn = draw(images, once, seed=0)
    labelled, pool = by_hand(images, drawn, drawn.start)
    head = fit_head(Learner(labelled.embeddings, labelled.labels, 3, seed=0))
    queue = rank(head, pool, labelled, Rules("margin", 40, 0.0, 40), "al-10-0")
    curve = run_curve(images, once, MARGIN, seed=0)
    assert curve.labels == [10, 50]
    assert drawn.tasks[curve.picked[10:]].tolist() == queue.tasks.tolist()


def test_the_random_sample_of_a_simulation_has_its_share_of_the_labels():
    images = clusters()
    protocol = Protocol(start=10, batch=10, rounds=5)
    drawn = draw(images, protocol, seed=0)
    picked = np.array(run_curve(images, protocol, Method("half", "margin", "plain", 0.5, True), seed=0).picked)
    sample = sample_of(drawn, picked, 0.5)
    labelled, pool = state(images, drawn, picked, sample)
    assert sample.drawn.sum() == len(picked) / 2
    assert (labelled.weights > 0).sum() == len(picked) / 2
    assert pool.turns.min() > len(picked) / 2


def test_the_ceiling_is_one_head_on_every_label_of_the_pool():
    images = clusters()
    drawn, curve = draw(images, SHORT, seed=1), run_curve(images, SHORT, CEILING, seed=1)
    embeddings = images.embeddings.astype(np.float32)
    guesses = fit_head(Learner(embeddings[drawn.pool], images.labels[drawn.pool], 3, seed=1)).probabilities(
        embeddings[drawn.test]
    )
    assert curve.labels == [len(drawn.pool)]
    assert curve.macro_f1 == [macro_f1(guesses.argmax(axis=1), images.labels[drawn.test], 3)]
