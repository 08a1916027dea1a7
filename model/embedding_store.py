"""The store of embeddings: immutable shards that any worker may add without a lock.

A shard is a safetensors file with `keys`, int64 of shape (n,), and `embeddings`, float16 of shape (n, D). A key stands for
one image of one task. A shard that is gone or broken only means that its images are embedded again.
"""

import hashlib
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model.files import write_atomically

log = logging.getLogger(__name__)
COMPACT_ABOVE = 64  # shards in a store before `compact` merges the small ones
SMALL = 1024  # rows


def embedding_key(task: int, reference: str) -> int:
    """The key of a task's image: 63 bits of a hash, so that a task whose image changes is embedded anew."""
    digest = hashlib.blake2b(f"{task}\0{reference}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class EmbeddingStore:
    """The embeddings of one project under one backbone, in `folder`."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self.folder = folder
        self.dimensions = dimensions
        self._rows: dict[int, tuple[Path, int]] = {}
        self._read: set[Path] = set()

    def add(self, keys: Sequence[int], embeddings: NDArray[np.floating]) -> None:
        """Write one shard of `embeddings`, of shape (len(keys), D), rounded to float16."""
        if len(keys) != len(embeddings) or embeddings.shape[1:] != (self.dimensions,):
            raise ValueError(f"{len(keys)} keys do not fit embeddings of shape {embeddings.shape}")
        if not keys:
            return
        tensors: dict[str, NDArray] = {
            "keys": np.asarray(keys, np.int64),
            "embeddings": np.ascontiguousarray(embeddings, np.float16),
        }
        shard = self.folder / f"{uuid.uuid4().hex}.safetensors"
        write_atomically(shard, lambda beside: save_file(tensors, beside))

    def refresh(self) -> None:
        """Take note of shards that were added or removed since the last call."""
        shards = set(self.folder.glob("[!.]*.safetensors"))
        if self._read - shards:
            self._rows, self._read = {}, set()
        for shard in sorted(shards - self._read):
            self._read.add(shard)
            for row, key in enumerate(self._keys(shard)):
                self._rows[key] = (shard, row)

    def missing(self, keys: Sequence[int]) -> list[int]:
        """Those of `keys` that have no embedding yet, in their order."""
        return [key for key in keys if key not in self._rows]

    def get(self, keys: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The embeddings of `keys` as (values, found).

        values: float32 of shape (len(keys), D), zeros where not found; found: bool of shape (len(keys),).
        """
        values = np.zeros((len(keys), self.dimensions), np.float32)
        found = np.zeros(len(keys), bool)
        if not self._fill(keys, values, found):
            self.refresh()  # another process merged shards meanwhile
            self._fill(keys, values, found)
        return values, found

    def _fill(self, keys: Sequence[int], values: NDArray[np.float32], found: NDArray[np.bool_]) -> bool:
        """Read what is not found yet, shard by shard; returns whether every shard was there."""
        by_shard: dict[Path, list[tuple[int, int]]] = {}
        for position in np.flatnonzero(~found).tolist():
            if keys[position] in self._rows:
                shard, row = self._rows[keys[position]]
                by_shard.setdefault(shard, []).append((position, row))
        whole = True
        for shard, pairs in by_shard.items():
            positions, rows = np.array(pairs).T
            try:
                with safe_open(shard, "np") as file:
                    values[positions] = file.get_tensor("embeddings")[rows]
            except (SafetensorError, OSError, IndexError, ValueError) as error:
                self._drop(shard, error)
                whole = False
                continue
            found[positions] = True
        return whole

    def compact(self) -> None:
        """Merge small shards once there are many, so that a year of single images stays quick to read."""
        self.refresh()
        sizes: dict[Path, list[int]] = {shard: [] for shard in self._read}
        for key, (shard, _) in self._rows.items():
            sizes.setdefault(shard, []).append(key)
        small = {shard: keys for shard, keys in sizes.items() if len(keys) < SMALL}
        if len(self._read) <= COMPACT_ABOVE or len(small) < 2:
            return
        keys = [key for shard_keys in small.values() for key in shard_keys]
        values, found = self.get(keys)
        self.add([key for key, good in zip(keys, found, strict=True) if good], values[found])
        for shard in small:
            shard.unlink(missing_ok=True)
        self.refresh()

    def _keys(self, shard: Path) -> list[int]:
        try:
            with safe_open(shard, "np") as file:
                if file.get_slice("embeddings").get_shape()[1] != self.dimensions:
                    raise ValueError(f"embeddings are not {self.dimensions} wide")
                return file.get_tensor("keys").tolist()
        except (SafetensorError, OSError, ValueError, IndexError) as error:
            self._drop(shard, error)
            return []

    def _drop(self, shard: Path, error: Exception) -> None:
        if not isinstance(error, FileNotFoundError):  # gone shards were merged or removed on purpose
            log.warning("Shard %s cannot be read (%s): its images will be embedded again", shard.name, error)
        self._rows = {key: place for key, place in self._rows.items() if place[0] != shard}
        self._read.discard(shard)
        if not isinstance(error, OSError):  # an OSError may pass; broken content never heals
            shard.unlink(missing_ok=True)
