"""A pool whose embeddings stay in the store is ranked as one that is in memory."""

from contextlib import closing
from functools import partial

import numpy as np
import pytest

from backend.bench.requeue import CONFIG, DIMENSIONS, all_unseen, make_project
from backend.index.index import Index
from backend.labelstudio.labelling_config import parse_label_config
from backend.learning.rounds import Rules, rank, train
from backend.project.arrays import labelled_and_pool
from backend.records.sample import KeptSample
from model.embeddings import stored_embeddings
from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.stored_embeddings import StoredEmbeddings
from model.heads import head
from model.storage.documents import DocumentsOnDisk
from strategies import REGISTRY

SIZE = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project of 500 images, 300 of them labelled."""
    folder = tmp_path_factory.mktemp("stored") / "project"
    make_project(folder, SIZE)
    return folder


def read(folder):
    """The project's labelled images and its pool."""
    classes = parse_label_config(CONFIG).classes
    draw = partial(KeptSample(DocumentsOnDisk(folder)).draw, share=0.1)
    with closing(Index(folder / "index.sqlite")) as index:
        store = EmbeddingStore(folder / "embeddings", DIMENSIONS)
        return labelled_and_pool(index.tasks.arrays(), classes, store, draw, all_unseen)


@pytest.fixture(scope="module")
def both(folder):
    """The same pool in memory and in the store, each with the labelled images and what a round learns of both."""
    with pytest.MonkeyPatch.context() as patch:
        in_memory = read(folder)
        patch.setattr(stored_embeddings, "IN_MEMORY", 50)
        stored = read(folder)
        assert isinstance(in_memory[1].embeddings, np.ndarray)
        assert isinstance(stored[1].embeddings, StoredEmbeddings)
        return [(labelled, pool, *train(labelled, pool, 5)) for labelled, pool in (in_memory, stored)]


def test_a_round_learns_the_same(both):
    (_, _, one, metrics), (_, _, other, metrics_too) = both
    assert np.array_equal(one.weights, other.weights)
    assert repr(metrics) == repr(metrics_too)


@pytest.mark.parametrize("strategy", [*REGISTRY, "badge+distinct", "margin+balanced"])
def test_every_strategy_picks_the_same(both, strategy):
    rules = Rules(strategy, 30, 0.1, 10)
    one, other = (rank(fitted, pool, labelled, rules, "al-1-abcdef") for labelled, pool, fitted, _ in both)
    assert one.tasks.tolist() == other.tasks.tolist()
    assert np.array_equal(one.probabilities, other.probabilities)


def test_large_products_are_those_of_small_parts(both, monkeypatch):
    (_, pool, fitted, _), _ = both
    small = fitted.probabilities(pool.embeddings)
    monkeypatch.setattr(head, "MANY", 50)
    assert np.abs(fitted.probabilities(pool.embeddings) - small).max() < 1e-6


def test_of_rows_that_are_gone_a_large_pool_has_no_probabilities(both, monkeypatch):
    (_, pool, fitted, _), _ = both
    monkeypatch.setattr(head, "MANY", 50)
    damaged = np.array(pool.embeddings)
    damaged[3] = np.nan
    told = fitted.probabilities(damaged)
    assert np.flatnonzero(np.isnan(told).any(axis=1)).tolist() == [3]
