"""What a version says of checks that nobody has made yet."""

import numpy as np
import pytest

from backend.learning import foresight
from backend.learning.foresight import foresee
from backend.learning.promise import Population, candidates, decide
from backend.learning.rounds import Pool
from model.heads.head import Head, IndependentHead

SURE = Head(np.array([[1, 0], [0, 1]], np.float32), np.zeros(2, np.float32), 0.1, np.array([5, 5]))


def pool_of(size, doubtful=0):
    """A pool of images of which the head is sure, but for some."""
    embeddings = np.tile(np.eye(2, dtype=np.float32), (size, 1))[:size]
    embeddings[:doubtful] = 0.5
    return Pool(np.arange(1, size + 1), embeddings, np.arange(size))


def test_it_is_what_the_promise_plans():
    pool = pool_of(1000, doubtful=300)
    told = SURE.probabilities(pool.embeddings)
    population = candidates(Population(pool.tasks, told.argmax(axis=1), told.max(axis=1)), 0.05)
    step = decide(population, foresight.NOTHING, error=0.05).plan[0]
    assert foresee(SURE, pool, 0.05) == {"error": 0.05, "checks": step.checks, "images": step.images}
    assert 0 < step.images <= 700


def test_of_a_large_pool_a_part_stands_for_all(monkeypatch):
    whole = foresee(SURE, pool_of(20_000))
    monkeypatch.setattr(foresight, "READ", 2000)
    part = foresee(SURE, pool_of(20_000))
    assert part["images"] == pytest.approx(whole["images"], rel=0.15)


def test_accepted_images_are_not_counted_again():
    pool = pool_of(1000)
    accepted = Pool(pool.tasks, pool.embeddings, pool.turns, pool.tasks > 500)
    assert foresee(SURE, accepted) == foresee(SURE, pool_of(500))


@pytest.mark.parametrize(
    "head",
    [
        None,
        Head(np.zeros((2, 2), np.float32), np.zeros(2, np.float32), 1.0, np.array([5, 0])),
        IndependentHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32), 1.0, np.array([5, 5]), 10),
    ],
    ids=["none", "of one class", "of several choices"],
)
def test_some_heads_can_accept_nothing(head):
    assert foresee(head, pool_of(1000)) is None


def test_too_small_a_pool_allows_nothing():
    assert foresee(SURE, pool_of(40)) is None
