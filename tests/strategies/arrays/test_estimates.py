"""Distances from a whole pool: exact from small ones, estimated from large ones."""

import sys

import numpy as np
import pytest

from strategies.arrays.estimates import Estimates
from strategies.query import Query
from tests.strategies.made_up import normalised


@pytest.fixture
def query():
    """500 embeddings of 256 dimensions, whose principal ones vary most, as those of images do."""
    found = normalised(np.random.default_rng(0).normal(size=(500, 256)) / np.sqrt(np.arange(1, 257)))
    return Query(np.arange(500), np.ones((500, 1)), embeddings=found, seed="al-1")


def distances(query, among):
    return (np.linalg.norm(query.embeddings[:, None].astype(np.float64) - among, axis=2) ** 2).min(axis=1)


def test_distances_from_a_small_pool_are_exact(query):
    among = query.embeddings[:7]
    assert Estimates(query).nearest(among) == pytest.approx(distances(query, among), abs=1e-5)


def test_distances_from_a_large_pool_are_estimated_within_a_few_hundredths(query, monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.arrays.estimates"], "EXACT", 100)
    among = normalised(np.random.default_rng(1).normal(size=(7, 256)) / np.sqrt(np.arange(1, 257)))
    estimated, exact = Estimates(query).nearest(among), distances(query, among)
    assert np.abs(estimated / exact - 1).mean() < 0.05
    assert np.corrcoef(estimated, exact)[0, 1] > 0.95


def test_from_nothing_every_image_is_infinitely_far(query):
    assert np.isinf(Estimates(query).nearest(query.embeddings[:0])).all()
