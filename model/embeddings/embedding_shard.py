"""One shard of the embedding store, read without trusting it: only the rows asked for, and nothing that does not fit.

A shard is a safetensors file. It is read with plain reads rather than mapped into memory, since a mapped file that somebody
cuts short ends the process.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LONGEST_HEADER = 1_000_000  # bytes
BLOCK = 4096  # rows read at once
GAP = 16  # rows between two that are asked for, up to which reading on is cheaper than reading twice
HALF = 2  # bytes of a float16
INFINITE = 0x7C00  # the bits of a float16 infinity; those of NaN are above
DAMAGED = -1  # stands for the key of a row whose embedding is not finite; real keys are not negative


class ShardError(ValueError):
    """A file that holds no embeddings as they must be. It never heals."""


class OtherWidth(ShardError):
    """A shard whose embeddings are of another width than those that are asked for."""


@dataclass(frozen=True)
class Layout:
    """Where in the file keys and embeddings begin, in bytes, and how many rows there are."""

    keys: int
    embeddings: int
    rows: int


def read_keys(shard: Path, dimensions: int, checked: bool = False) -> NDArray[np.int64]:
    """The key of each row, int64 (n,), DAMAGED where the row's embedding is not finite, which is not looked at where all are
    `checked`. Raises ShardError, OSError."""
    status = shard.stat()
    return _keys(shard, dimensions, checked, status.st_ino, status.st_mtime_ns, status.st_size)


def read_rows(shard: Path, rows: NDArray[np.int64], dimensions: int) -> NDArray[np.float16]:
    """The embeddings of `rows`, float16 (len(rows), dimensions). Raises ShardError, OSError."""
    values = np.empty((len(rows), dimensions), np.float16)
    for where, embeddings in read_parts(shard, rows, dimensions):
        values[where] = embeddings
    return values


def read_parts(
    shard: Path, rows: NDArray[np.int64], dimensions: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """The embeddings of `rows` in parts as they lie in the file: positions in `rows`, int64 (n,), and float16 (n, dimensions),
    not to be written to. Raises ShardError, OSError."""
    with shard.open("rb", buffering=0) as file:
        layout = _layout(file.fileno(), dimensions)
        if len(rows) and (rows.min() < 0 or rows.max() >= layout.rows):
            raise ShardError(f"it has {layout.rows} rows, not {rows.max() + 1}")
        order = np.argsort(rows, kind="stable")
        for part in _neighbours(rows[order]):
            where = order[part]
            first, last = int(rows[where[0]]), int(rows[where[-1]])
            block = _block(file.fileno(), layout, first, last + 1, dimensions)
            in_order = len(where) == len(block) and (np.diff(rows[where]) == 1).all()
            yield where, block if in_order else block[rows[where] - first]


def finite_rows(embeddings: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which rows of `embeddings`, float16 (n, D), are finite, (n,): by their bits, four times as fast as np.isfinite."""
    return (embeddings.view(np.uint16) & 0x7FFF).max(axis=1, initial=0) < INFINITE


@lru_cache(maxsize=4096)  # a shard never changes: a server that opens the store with each request looks at it once
def _keys(shard: Path, dimensions: int, checked: bool, _inode: int, _modified: int, _size: int) -> NDArray[np.int64]:
    with shard.open("rb", buffering=0) as file:
        layout = _layout(file.fileno(), dimensions)
        keys = np.frombuffer(_read(file.fileno(), layout.keys, 8 * layout.rows), "<i8").copy()
        for first in range(0, 0 if checked else layout.rows, BLOCK):
            block = _block(file.fileno(), layout, first, min(first + BLOCK, layout.rows), dimensions)
            keys[first : first + len(block)][~finite_rows(block)] = DAMAGED
    keys.flags.writeable = False
    return keys


def _neighbours(rows: NDArray[np.int64]) -> list[slice]:
    """Parts of the sorted `rows` that are each read at once."""
    if not len(rows):
        return []
    ends = {0, len(rows), *(np.flatnonzero(np.diff(rows) > GAP) + 1).tolist(), *range(0, len(rows), BLOCK // GAP)}
    bounds = sorted(ends)
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def _block(file: int, layout: Layout, first: int, end: int, dimensions: int) -> NDArray[np.float16]:
    width = HALF * dimensions
    block = np.empty((end - first, dimensions), "<f2")
    _read_into(file, layout.embeddings + first * width, block.reshape(-1).view(np.uint8).data)
    return block


def _layout(file: int, dimensions: int) -> Layout:
    """Where things are, by the file's header: 8 bytes of its length, then JSON."""
    length = int.from_bytes(_read(file, 0, 8), "little")
    if length > LONGEST_HEADER:
        raise ShardError("it is no safetensors file")
    try:
        header = json.loads(_read(file, 8, length))
        keys, embeddings = header["keys"], header["embeddings"]
        rows = int(keys["shape"][0])
        keys_at, embeddings_at = (8 + length + int(tensor["data_offsets"][0]) for tensor in (keys, embeddings))
        shapes = [(tensor["dtype"], list(tensor["shape"])) for tensor in (keys, embeddings)]
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise ShardError(f"its header is not that of a shard ({error!r})") from error
    if shapes != [("I64", [rows]), ("F16", [rows, dimensions])] or rows < 0:
        raise OtherWidth(f"it holds {shapes}, not keys and embeddings that are {dimensions} wide")
    size, end = os.fstat(file).st_size, max(keys_at + 8 * rows, embeddings_at + HALF * rows * dimensions)
    if min(keys_at, embeddings_at) < 8 + length or end > size:
        raise ShardError(f"it is cut short: {size} of {end} bytes")
    return Layout(keys_at, embeddings_at, rows)


def _read(file: int, start: int, count: int) -> bytes:
    content = bytearray(count)
    _read_into(file, start, memoryview(content))
    return bytes(content)


def _read_into(file: int, start: int, content: memoryview) -> None:
    """Fill `content` from the file's byte `start` on."""
    done = 0
    while done < len(content):
        count = os.preadv(file, [content[done:]], start + done)
        if not count:
            raise ShardError("it is cut short")
        done += count
