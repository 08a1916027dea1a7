"""Large arrays in pieces, so that a memory-mapped one is never copied whole."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

CHUNK = 2**21  # numbers worked on at a time: 8 MiB as float32, which stay in a processor's cache
THREADS = 4  # at most; beyond, memory is too slow to keep them busy


def chunks(rows: int, width: int) -> Iterator[slice]:
    """Slices that cover `rows` rows in order, each of about CHUNK numbers where a row makes `width`; an empty one for none."""
    step = max(1, CHUNK // max(width, 1))
    return (slice(start, min(start + step, rows)) for start in range(0, max(rows, 1), step))


def rowwise(function: Callable[[NDArray], NDArray], values: NDArray) -> NDArray:
    """`function` of the rows of `values`, shape (N, C), chunk by chunk; it must treat each row by itself."""
    return np.concatenate([function(values[rows]) for rows in chunks(*values.shape)])


def side_by_side(work: Callable[[slice], None], pieces: Iterator[slice]) -> None:
    """`work` on each of `pieces`, on as many threads as there are cores, at most THREADS. The first by itself, so that what
    `work` does only once is done before. Raises what `work` raises first."""
    work(next(pieces))
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for done in [pool.submit(work, rows) for rows in pieces]:
            done.result()
