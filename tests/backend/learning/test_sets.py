"""A round where an image may be of several classes or of none."""

import json

import numpy as np
import pytest

from backend.learning.ahead import First, rank_behind
from backend.learning.rounds import Labelled, Pool, Rules, place_outside_queue, rank, train
from backend.learning.slots import slot_order
from strategies import REGISTRY
from tests.model.heads.test_independent_head import sets

SIZE = 30


@pytest.fixture(scope="module")
def made_up():
    """60 labelled images and a pool of 140."""
    embeddings, labels = sets(200)
    tasks = np.arange(200)
    everything = np.ones(60)
    pool = Pool(tasks[60:], embeddings[60:], 1 + np.argsort(slot_order(tasks[60:])))
    return Labelled(tasks[:60], labels[:60], embeddings[:60], everything, everything.astype(bool)), pool


@pytest.mark.parametrize("strategy", [*REGISTRY, "bait+distinct", "badge+distinct+balanced"])
def test_every_strategy_finds_in_a_round_what_it_needs(made_up, strategy):
    labelled, pool = made_up
    head, _ = train(*made_up, 3)
    waiting = pool.embeddings[:2].astype(np.float32)
    ranking = rank(head, pool, labelled, Rules(strategy, SIZE, 0.1, batch=5), "al-1", waiting)
    assert len(set(ranking.tasks.tolist())) == SIZE
    assert ranking.probabilities.shape == (SIZE, 3)


def test_metrics_are_by_class_without_confusion_and_plain_values(made_up):
    _, metrics = train(*made_up, 3)
    assert metrics["enough"]
    assert len(metrics["per_class"]) == 3
    assert metrics["confusion"] == []
    assert metrics["gain"]["labels"] == 50
    assert metrics["slots"] == made_up[0].labels.sum(axis=0).tolist()
    assert "judged" not in metrics
    json.dumps(metrics)


def test_until_a_class_has_both_answers_the_queue_goes_by_typicality_and_tells_no_class(made_up):
    labelled, pool = made_up
    none = labelled.only(np.flatnonzero(~labelled.labels.any(axis=1))[:3])
    head, _ = train(none, pool, 3)
    ranking = rank(head, pool, none, Rules("bait+distinct", SIZE, 0.0, batch=5), "al-1")
    assert len(set(ranking.tasks.tolist())) == SIZE
    assert ranking.probabilities is None


def test_before_any_label_there_is_a_queue_too(made_up):
    labelled, pool = made_up
    head, metrics = train(labelled.only(slice(0, 0)), pool, 3)
    assert (head, metrics) == (None, {})
    assert len(rank(head, pool, labelled.only(slice(0, 0)), Rules("margin", SIZE, 0.1, batch=5), "al-1").tasks) == SIZE


def test_images_sent_ahead_come_first(made_up):
    labelled, pool = made_up
    head, _ = train(*made_up, 3)
    ranking, trouble = rank_behind(head, pool, labelled, Rules("bait", SIZE, 0.0, batch=5), "al-1", First(pool.tasks[:2]))
    assert (ranking.tasks[:2].tolist(), trouble) == (pool.tasks[:2].tolist(), "")


@pytest.mark.parametrize("strategy", REGISTRY)
def test_a_task_has_the_same_place_alone_as_in_a_batch(made_up, strategy):
    _, pool = made_up
    head, _ = train(*made_up, 3)
    places, p = place_outside_queue(head, pool.tasks[:9], pool.embeddings[:9], strategy, "al-1")
    parts = [pool.only(slice(row, row + 1)) for row in range(9)]
    alone = [place_outside_queue(head, part.tasks, part.embeddings, strategy, "al-1")[0][0] for part in parts]
    assert p.shape == (9, 3)
    np.testing.assert_allclose(places, alone, atol=1e-6)
    assert ((places >= 0.5) & (places <= 1)).all()
