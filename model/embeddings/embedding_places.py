"""Where the embedding of each key lies: sorted arrays, which take 16 bytes a key and find a million keys in half a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Places:
    """The places of n keys; never changed, but replaced by another, so that threads may read it.

    keys: int64 (n,), ascending; numbers: int32 (n,), which of `shards`; rows: int32 (n,), which row of it.
    """

    keys: NDArray[np.int64]
    numbers: NDArray[np.int32]
    rows: NDArray[np.int32]
    shards: tuple[Path, ...]

    @classmethod
    def none(cls) -> "Places":
        """No key anywhere."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), ())

    def with_shards(self, added: Mapping[Path, NDArray[np.int64]]) -> "Places":
        """And those of more shards, each with the keys of its rows, int64; a negative one is none. Of several places of a key
        the last counts."""
        if not added:
            return self
        kept = [np.flatnonzero(keys >= 0).astype(np.int32) for keys in added.values()]
        keys = np.concatenate([self.keys, *(keys[rows] for keys, rows in zip(added.values(), kept, strict=True))])
        sizes = [len(rows) for rows in kept]
        first = len(self.shards)
        numbers = np.concatenate([self.numbers, np.repeat(np.arange(first, first + len(sizes), dtype=np.int32), sizes)])
        order = np.argsort(keys, kind="stable")
        last = np.append(np.diff(keys[order]) != 0, np.ones(min(len(keys), 1), bool))
        order = order[last]
        return Places(keys[order], numbers[order], np.concatenate([self.rows, *kept])[order], (*self.shards, *added))

    def without(self, gone: Bools) -> "Places":
        """Without those that are `gone`, bool (n,)."""
        return Places(self.keys[~gone], self.numbers[~gone], self.rows[~gone], self.shards)

    def in_shard(self, shard: Path) -> Bools:
        """Which of the keys lie in `shard`, bool (n,)."""
        return np.isin(self.numbers, [number for number, known in enumerate(self.shards) if known == shard])

    def find(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], Bools]:
        """Of each of m `keys` where it stands among those here, int64 (m,), and whether it is here at all, bool (m,)."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return at, self.keys[at] == keys

    def by_shard(self, keys: NDArray[np.int64]) -> Sequence[tuple[Path, NDArray[np.int64], NDArray[np.int64]]]:
        """Where those of `keys` lie that are here: of each shard their positions in `keys`, and the rows, int64 each."""
        at, there = self.find(keys)
        positions = np.flatnonzero(there)
        at = at[positions]
        order = np.argsort(self.numbers[at], kind="stable")
        numbers = self.numbers[at][order]
        parts = np.split(order, np.flatnonzero(np.diff(numbers)) + 1) if len(order) else []
        return [
            (self.shards[self.numbers[at[part[0]]]], positions[part], self.rows[at[part]].astype(np.int64)) for part in parts
        ]
