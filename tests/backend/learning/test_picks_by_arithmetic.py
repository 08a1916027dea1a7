"""The fastest arithmetic picks the images that float32 picks."""

import numpy as np
import pytest

from backend.learning.rounds import Labelled, Pool, Rules, rank, train
from backend.simulate.dataset import list_dataset
from backend.simulate.embed_dataset import embed_dataset
from backend.simulate.progress import StepLine
from model.networks.arithmetic import FLOAT32, fastest
from tests.model.made_up import resnet50

LABELS = PICKS = 100


def picked(images, strategy, seed):
    """The ids of PICKS images, after LABELS labels that `seed` draws."""
    tasks = np.random.default_rng(seed).permutation(len(images.labels)).astype(np.int64)
    taught, left = tasks[:LABELS], np.sort(tasks[LABELS:])
    ones = np.ones(LABELS)
    vectors = images.embeddings.astype(np.float32)
    labelled = Labelled(taught, images.labels[taught], vectors[taught], ones, ones > 0)
    pool = Pool(left, images.embeddings[left], np.arange(len(left)))
    head, _ = train(labelled, pool, len(images.classes))
    return set(rank(head, pool, labelled, Rules(strategy, PICKS, 0.0, 10), "v").tasks.tolist())


@pytest.fixture(scope="module")
def both(shared, weights, tmp_path_factory):
    """Ants and bees with embeddings in float32 and in the fastest arithmetic."""
    listed, _ = list_dataset(shared / "data" / "hymenoptera")
    specs = [resnet50(weights, arithmetic) for arithmetic in (FLOAT32, fastest())]
    images, _ = embed_dataset(listed, specs, tmp_path_factory.mktemp("cache"), 10**8, StepLine())
    return images


@pytest.mark.soak
def test_embeddings_point_the_same_way(both):
    first, second = (images.embeddings.astype(np.float32) for images in both)
    assert (first * second).sum(axis=1).min() > 0.999


@pytest.mark.soak
@pytest.mark.parametrize("strategy", ["margin", "entropy", "bait+distinct"])
def test_95_of_100_picks_stay_the_same(both, strategy):
    same = [len(picked(both[0], strategy, seed) & picked(both[1], strategy, seed)) for seed in range(5)]
    assert np.mean(same) >= 95
