"""The cold start: an order whose every prefix covers the pool."""

import sys

import numpy as np
import pytest

from strategies.spread import spread

NONE = np.zeros((0, 16), np.float32)


def blobs(sizes, dimensions=16, seed=0):
    """Well separated clusters on the unit sphere: (embeddings, the cluster of each)."""
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(dimensions)[of] + 0.02 * random.normal(size=(len(of), dimensions))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), of


def test_the_first_picks_cover_every_cluster():
    points, of = blobs([40] * 8)
    assert set(of[spread(points, NONE, 8, first=8)].tolist()) == set(range(8))


def test_a_small_cluster_is_found_soon():
    points, of = blobs([300, 300, 12])
    assert 2 in of[spread(points, NONE, 12, first=6)]


def test_the_first_pick_is_typical_of_the_largest_cluster():
    points, of = blobs([60, 20, 20])
    first = spread(points, NONE, 3, first=3)[0]
    distances = np.linalg.norm(points[of == 0] - points[of == 0].mean(axis=0), axis=1)
    assert of[first] == 0
    assert np.linalg.norm(points[first] - points[of == 0].mean(axis=0)) <= np.quantile(distances, 0.1)


def test_clusters_with_labels_come_later():
    points, of = blobs([40] * 8)
    picks = spread(points, points[of < 4][::20], 4, first=8)
    assert set(of[picks].tolist()) == {4, 5, 6, 7}


@pytest.mark.parametrize("size", [1, 9, 10, 11, 59, 60])
def test_picks_never_repeat(size):
    points, _ = blobs([20] * 3)
    assert len(set(spread(points, NONE, size).tolist())) == size


def test_more_than_there_are_yields_each_once():
    points, _ = blobs([10] * 3)
    assert sorted(spread(points, NONE, 1000).tolist()) == list(range(30))


def test_labelled_images_themselves_are_never_picked():
    points, _ = blobs([10] * 3)
    covered = np.tile(points[:1], (50, 1))
    assert sorted(spread(points, covered, 1000).tolist()) == list(range(30))


def test_a_pool_of_one_yields_it():
    points, _ = blobs([1])
    assert spread(points, NONE, 5).tolist() == [0]


@pytest.mark.parametrize("size", [0, 5])
def test_an_empty_pool_yields_nothing(size):
    assert spread(NONE, NONE, size).shape == (0,)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_identical_images_are_all_yielded():
    assert sorted(spread(np.full((40, 16), 0.25, np.float32), NONE, 40).tolist()) == list(range(40))


def test_the_order_is_the_same_on_every_call():
    points, _ = blobs([50] * 5, dimensions=200)
    assert spread(points, points[:0], 60).tolist() == spread(points, points[:0], 60).tolist()


def test_wide_embeddings_are_covered_too():
    points, of = blobs([40] * 8, dimensions=2048)
    assert set(of[spread(points, points[:0], 8, first=8)].tolist()) == set(range(8))


def test_more_clusters_than_distinct_images_end_soon(monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.spread"], "SAMPLE", 50)
    embeddings = np.full((200, 8), 0.3, np.float32)
    assert len(set(spread(embeddings, embeddings[:0], 20).tolist())) == 20
