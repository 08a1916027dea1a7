"""How alike images are, by their kept embeddings, which are read a part at a time: no network, and no pool in memory."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.embeddings.embedding_store import EmbeddingStore
from model.threads import one_thread
from strategies.arrays.hashing import uniform_hash
from strategies.arrays.vectors import Floats, squared_distances
from strategies.distinct import near_duplicate_distance
from strategies.query import Query

if TYPE_CHECKING:
    from model.heads.head import Head

COPIES_SAMPLE = 1000  # images of the pool that tell how near a near-copy is
TYPICAL_SAMPLE = 2000  # images of the pool among which those are counted that a queued one is typical of


def distances_to(store: EmbeddingStore, keys: NDArray[np.int64], vectors: Floats) -> Floats:
    """Squared Euclidean distances from the images `keys`, (n,), to `vectors`, (k, D): float32 (n, k), infinite where an image
    has no embedding. Embeddings are of length 1, so the order of distances is that of cosines."""
    out = np.full((len(keys), len(vectors)), np.inf, np.float32)
    with one_thread():  # a part is small: threads would wait for each other, and take the cores from webhooks
        for positions, embeddings in store.parts(keys):
            out[positions] = squared_distances(embeddings.astype(np.float32), vectors)
    return out


def copy_distance(
    store: EmbeddingStore, tasks: NDArray[np.int64], keys: NDArray[np.int64], head: "Head | None", seed: str
) -> float:
    """The distance below which images of the pool `tasks`, `keys` are near-copies (`near_duplicate_distance`), from a sample
    drawn by `seed`; 0 where that cannot be told."""
    drawn = _sample(tasks, COPIES_SAMPLE, seed)
    embeddings, found = store.get(keys[drawn])
    if not found.any():
        return 0.0
    embeddings, drawn = embeddings[found], drawn[found]
    probabilities = head.probabilities(embeddings) if head else np.ones((len(drawn), 1), np.float32)
    with one_thread():
        query = Query(
            tasks[drawn], probabilities, embeddings=embeddings, seed=seed, independent=bool(head and head.independent)
        )
        return near_duplicate_distance(query)


def near_copies(distances: Floats, keys: NDArray[np.int64], key: int, nearer_than: float) -> NDArray[np.int64]:
    """Positions of the images that are near-copies of the image `key`, the nearest first. distances: squared, from each of
    `keys` to it, float32 (n,)."""
    near = np.flatnonzero((distances < nearer_than**2) & (keys != key))
    return near[np.argsort(distances[near], kind="stable")]


def typical_of(
    store: EmbeddingStore, queued: Floats, tasks: NDArray[np.int64], keys: NDArray[np.int64], seed: str
) -> NDArray[np.int64]:
    """Of how many images of the pool `tasks`, `keys` each of `queued`, float32 (q, D), is the nearest of these, itself among
    them: int64 (q,). Counted in a sample of a large pool, and scaled up."""
    drawn = _sample(tasks, TYPICAL_SAMPLE, seed)
    distances = distances_to(store, keys[drawn], queued)
    known = np.isfinite(distances).all(axis=1)
    counts = np.bincount(distances[known].argmin(axis=1), minlength=len(queued))
    return np.rint(counts * len(tasks) / max(len(drawn), 1)).astype(np.int64)


def _sample(tasks: NDArray[np.int64], size: int, seed: str) -> NDArray[np.int64]:
    """Positions of at most `size` of `tasks`, drawn by their hashes."""
    return np.argsort(uniform_hash(tasks, seed), kind="stable")[:size]
