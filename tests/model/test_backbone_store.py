"""The backbones of a project, and what is kept of them."""

import numpy as np
import pytest

from model.backbone import backbone_name
from model.backbone_store import About, BackboneStore
from model.weights_file import WeightsError
from tests.model.made_up import DIMENSIONS, resnet50


@pytest.fixture
def store(tmp_path):
    """A store with torchvision's weights as its base."""
    return BackboneStore(tmp_path / "project", resnet50(None))


def adopt(store, tmp_path, name, tasks=()):
    """Take in a file of that name; these tests never load it."""
    (tmp_path / "made").write_bytes(b"weights")
    store.adopt(tmp_path / "made", name, About("last", tasks))


def test_the_base_is_always_there(store):
    assert store.base == backbone_name(resnet50(None))
    assert store.has(store.base)
    assert store.spec(store.base) == resnet50(None)


def test_an_adopted_backbone_is_found_again(store, tmp_path):
    adopt(store, tmp_path, "other", (3, 1))
    assert store.spec("other").weights.read_bytes() == b"weights"
    assert store.about("other") == About("last", (3, 1))
    assert not (tmp_path / "made").exists()


def test_only_tasks_a_backbone_has_not_seen_can_judge_it(store, tmp_path):
    adopt(store, tmp_path, "other", (3, 1))
    tasks = np.array([1, 2, 3, 4])
    assert store.unseen("other", tasks).tolist() == [False, True, False, True]
    assert store.unseen(store.base, tasks).all()


def test_weights_that_are_gone_are_said_to_be(store):
    assert not store.has("other")
    with pytest.raises(WeightsError, match="gone"):
        store.spec("other")


def test_embeddings_of_two_backbones_are_kept_apart(store):
    store.embeddings("a").add([1], np.zeros((1, DIMENSIONS), np.float32))
    assert store.embeddings("a").missing([1]) == []
    assert store.embeddings("b").missing([1]) == [1]


def test_what_nobody_needs_is_collected(store, tmp_path):
    for name in ("a", "b"):
        adopt(store, tmp_path, name)
        store.embeddings(name).add([1], np.zeros((1, DIMENSIONS), np.float32))
    store.embeddings(store.base).add([1], np.zeros((1, DIMENSIONS), np.float32))
    assert store.collect(["a"]) == ["b", store.base]
    assert (store.has("a"), store.has("b")) == (True, False)
    assert store.embeddings("a").missing([1]) == []
    assert store.embeddings(store.base).missing([1]) == [1]
    assert store.collect(["a"]) == []
