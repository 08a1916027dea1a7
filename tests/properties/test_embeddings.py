"""Embeddings on disk and their keys: damaged bytes cost their own rows, and any reference has a key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.embeddings.embedding_store import EmbeddingStore, embedding_key, unsigned

TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
WIDTH, ROWS = 4, 5
NAMES = st.sampled_from(["X-Amz-Signature", "x-goog-date", "sig", "sv", "Expires", "token", "id", "v", "Key-Pair-Id"]) | TEXT
LINKS = st.builds(
    lambda host, fields: f"https://{host}/a.jpg?" + "&".join(f"{name}={value}" for name, value in fields),
    TEXT,
    st.lists(st.tuples(NAMES, TEXT), max_size=5),
)


@given(task=st.integers(0, 2**63), reference=TEXT | LINKS)
def test_any_reference_has_a_key(task, reference):
    assert 0 <= embedding_key(task, reference) < 2**63


@given(reference=TEXT | LINKS)
def test_a_reference_without_its_signature_has_none_to_lose(reference):
    assert unsigned(unsigned(reference)) == unsigned(reference)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a shard, and the embeddings in it."""
    folder = tmp_path_factory.mktemp("whole")
    values = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float16)
    EmbeddingStore(folder, WIDTH).add(list(range(ROWS)), values)
    (shard,) = folder.glob("*.safetensors")
    return shard.read_bytes(), values


@given(data=st.data())
def test_a_damaged_shard_gives_finite_embeddings_or_none(whole, tmp_path_factory, data):
    content, _ = whole
    damaged = bytearray(content)
    for position, byte in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)):
        damaged[position] = byte
    end = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "a.safetensors").write_bytes(damaged[:end])
    store = EmbeddingStore(folder, WIDTH)
    store.refresh()
    values, found = store.get(list(range(ROWS)))
    assert np.isfinite(values).all()
    store.add(store.missing(list(range(ROWS))), np.ones(((~found).sum(), WIDTH), np.float32))
    assert EmbeddingStore(folder, WIDTH).missing([0]) == [0]  # not looked at yet
    store.refresh()
    assert store.get(list(range(ROWS)))[1].all()
