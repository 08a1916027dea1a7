"""Embeddings that stay in their store, where an array of them would be too large for memory."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from model.embeddings.embedding_store import EmbeddingStore

IN_MEMORY = 65_536  # rows up to which embeddings are read at once: 256 MiB of 2048 dimensions
Rows = NDArray[np.int64] | NDArray[np.bool_] | slice
Embeddings = NDArray[np.floating[Any]]


class StoredEmbeddings:
    """Stands for an array, float16 (N, D), and is read from `store` by the rows that are asked for, each time anew.

    keys: int64 (N,). A row whose embedding is gone or damaged by the time that it is read is NaN. What takes any array, such as
    `np.asarray`, reads all of it.
    """

    dtype, ndim = np.dtype(np.float16), 2

    def __init__(self, store: EmbeddingStore, keys: NDArray[np.int64]) -> None:
        self._store, self._keys = store, keys

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self._keys), self._store.dimensions

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, rows: Rows) -> NDArray[np.float16]:
        """The embeddings of `rows`, float16 (n, D)."""
        keys = self._keys[rows]
        values = None
        for positions, embeddings in self._store.parts(keys):
            if len(positions) == len(keys) and (np.diff(positions) == 1).all():
                return embeddings  # as they lie on disk: nothing is to be copied
            if values is None:
                values = np.full((len(keys), self._store.dimensions), np.nan, np.float16)
            values[positions] = embeddings
        return np.full((len(keys), self._store.dimensions), np.nan, np.float16) if values is None else values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("embeddings that lie in a store are read, which copies them")
        return self[:].astype(dtype or self.dtype, copy=False)

    def only(self, rows: Rows) -> "StoredEmbeddings":
        """Those of `rows`, unread."""
        return StoredEmbeddings(self._store, self._keys[rows])


def embeddings_of(store: EmbeddingStore, keys: NDArray[np.int64]) -> tuple[Embeddings, NDArray[np.bool_]]:
    """The embeddings of those of N `keys` that have one, float16 (n, D), and which these are, bool (N,).

    More than IN_MEMORY of them stay in the store, and are read by parts as they are asked for: what has length, shape and rows
    like an array stands for it.
    """
    if len(keys) > IN_MEMORY:
        found = store.has(keys)
        return cast(Embeddings, StoredEmbeddings(store, keys[found])), found
    values, found = store.get(keys)
    return values if found.all() else values[found], found


def part_of(embeddings: Embeddings, rows: Rows) -> Embeddings:
    """Those of `rows`; of such that lie in a store, unread."""
    stored: Any = embeddings
    return cast(Embeddings, stored.only(rows)) if isinstance(stored, StoredEmbeddings) else embeddings[rows]
