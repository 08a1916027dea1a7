"""Places in the queue: ordered, and apart from those of the pool."""

import itertools

import numpy as np
import pytest

from backend.learning.places import LAST, pool_places, queue_places, refill_places


@pytest.mark.parametrize("size", [1, 2, 100, 5000])
def test_picks_stand_in_strict_order_with_room_before_the_first(size):
    places = queue_places(size)
    assert len(places) == size
    assert places[0] > 0
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize("size", [1, 2, 100, 5000])
def test_the_queue_ends_below_one_half(size):
    assert queue_places(size)[-1] < 0.5


def test_an_empty_queue_has_no_places():
    assert queue_places(0).shape == (0,)


def test_a_refill_stands_behind_the_queue():
    assert refill_places(0.25, 10)[0] > 0.25


def test_an_empty_refill_has_no_places():
    assert refill_places(0.25, 0).shape == (0,)


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_thirty_refills_stay_in_strict_order_below_one_half(size):
    places = queue_places(size)
    for _ in range(30):
        places = np.concatenate([places, refill_places(places[-1], size)])
    assert (np.diff(places) > 0).all()
    assert places[-1] < 0.5


def test_the_pool_stands_behind_every_refill():
    last = queue_places(100)[-1]
    for _ in range(30):
        last = refill_places(last, 100)[-1]
    assert pool_places(np.array([0.0]))[0] > last


def test_the_pool_keeps_the_order_of_its_scores():
    assert pool_places(np.array([0.0, 0.2, 0.9, 1.0])).tolist() == pytest.approx([0.5, 0.6, 0.95, 1.0])


def test_a_task_has_the_same_place_alone_as_in_a_batch():
    scores = np.random.default_rng(0).random(20)
    assert list(itertools.chain(*(pool_places(scores[i : i + 1]) for i in range(20)))) == pool_places(scores).tolist()


def test_no_place_is_behind_that_of_a_skipped_task():
    assert pool_places(np.array([1.0, 1.5])).tolist() == [LAST, LAST]
