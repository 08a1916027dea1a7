"""What each strategy costs on a pool of a million images, in seconds and in memory, and how much faster than others' it is.

The pool is made up and memory-mapped from a file, as the product's embeddings are. Each strategy runs in a process of its
own, so that no one pays for another's memory.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from backend.bench.figures import Bench, BenchError, Row
from backend.bench.scikit_activeml import ROWS as OVER_SCIKIT_ACTIVEML
from backend.bench.scikit_activeml import over_scikit_activeml
from model.heads.head import Head, probabilities_of_each
from strategies import REGISTRY, pick
from strategies.query import Query

DIMENSIONS, CLASSES = 2048, 10
CLUSTERS = 50
LABELLED = 300
BATCH = 10  # labels given before the next query
MEMBERS = 10  # of the committee
CHUNK = 20_000  # rows written at a time
GIB = 2**30
LARGE = 1_000_000  # rows at which the goals stand
SECONDS, MEMORY = 10.0, 4.0  # the goals
NAMES = (*REGISTRY, "margin+distinct", "margin+balanced", "badge+distinct")
ROWS = (*OVER_SCIKIT_ACTIVEML, *(row for name in NAMES for row in (f"strategies.{name}", f"strategies.{name}.memory")))


def measure(bench: Bench) -> Iterator[Row]:
    """How much faster than scikit-activeml; then seconds of one query of each strategy on a large pool, with the checks of its
    arrays, and the peak of resident anonymous memory of its process. Raises BenchError on a disk too small."""
    yield from over_scikit_activeml(bench)
    wanted = [name for name in NAMES if bench.wants(f"strategies.{name}") or bench.wants(f"strategies.{name}.memory")]
    if not wanted:
        return
    needed = bench.rows * (DIMENSIONS * 2 + CLASSES * 4) + 2**24
    free = shutil.disk_usage(bench.folder).free
    if free < needed:
        raise BenchError(
            f"{bench.folder.parent} has {free / GIB:.1f} GiB free and the pool takes {needed / GIB:.1f}: "
            "choose another place with --folder, or fewer images with --rows"
        )
    started = time.monotonic()
    make_pool(bench.folder, bench.rows)
    bench.say(f"  pool of {bench.rows} x {DIMENSIONS} made in {time.monotonic() - started:.0f} s")
    conditions = f"{bench.size} picks from {bench.rows:,} x {DIMENSIONS}"
    failed = []
    for name in wanted:
        bench.say(f"  {name} ...")
        try:
            seconds, gib = _in_a_process(bench.folder, name, bench.size)
        except (BenchError, MemoryError) as error:
            failed.append(f"{name}: {error}")
            continue
        large = bench.rows >= LARGE
        yield Row.at_most(f"strategies.{name}", seconds, "s", conditions, SECONDS if large else None)
        yield Row.at_most(f"strategies.{name}.memory", gib, "GiB", conditions, MEMORY if large else None)
    if failed:
        raise BenchError("; ".join(failed))


def make_pool(folder: Path, rows: int) -> None:
    """Write `rows` embeddings in clusters, float16, and the probabilities of a linear head on them, float32, chunk by chunk."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    head = _heads(1)[0]
    embeddings = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", np.float16, (rows, DIMENSIONS))
    probabilities = np.lib.format.open_memmap(folder / "probabilities.npy", "w+", np.float32, (rows, CLASSES))
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        vectors = centres[random.integers(CLUSTERS, size=n)] + random.standard_normal((n, DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        embeddings[start : start + n] = vectors
        probabilities[start : start + n] = softmax(vectors @ head, axis=1)
    embeddings.flush()
    probabilities.flush()


def _heads(members: int) -> NDArray[np.float32]:
    """Random linear heads, of shape (members, DIMENSIONS, CLASSES), about as sure as a trained one."""
    return 2 * np.random.default_rng(1).standard_normal((members, DIMENSIONS, CLASSES), np.float32)


def _in_a_process(folder: Path, name: str, size: int) -> tuple[float, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(cost, folder, name, size).result()
        except BrokenProcessPool:
            raise BenchError("killed: out of memory?") from None


def cost(folder: Path, name: str, size: int) -> tuple[float, float]:
    """(seconds, GiB) of one query for `size` picks on the pool in `folder`, in this process."""
    embeddings, probabilities = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("embeddings", "probabilities"))
    ask = partial(_pick, name, embeddings, probabilities)
    ask(slice(0, 500), 20)  # imports and warms up
    with PeakMemory() as peak:
        started = time.perf_counter()
        ask(slice(None), size)
        seconds = time.perf_counter() - started
    return seconds, peak.bytes / GIB


def _pick(name: str, embeddings: NDArray, probabilities: NDArray, rows: slice, size: int) -> NDArray[np.int64]:
    pool, p = embeddings[rows], probabilities[rows]
    known = np.sort(np.random.default_rng(2).choice(len(p), min(LABELLED, len(p)), replace=False))
    counts = np.full(CLASSES, LABELLED // CLASSES)
    heads = [Head(weights.T, np.zeros(CLASSES, np.float32), 1.0, counts) for weights in _heads(MEMBERS)]
    query = Query(
        np.arange(len(p)),
        p,
        embeddings=pool,
        labelled=pool[known],
        labels=p[known].argmax(axis=1),
        labelled_probabilities=p[known],
        committee=lambda asked: probabilities_of_each(heads, pool[asked].astype(np.float32)),
        batch=BATCH,
        seed="bench",
    )
    return pick(name, query, size)


class PeakMemory:
    """The most resident anonymous memory this process had meanwhile, in bytes.

    RssAnon leaves out the memory-mapped pool, which the kernel keeps or drops as it likes; ru_maxrss counts it. Sampled
    a hundred times a second: shorter peaks may be missed.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.bytes = max(self.bytes, anonymous_memory())
            if self._stop.wait(0.01):
                return


def anonymous_memory() -> int:
    """Resident anonymous memory of this process in bytes, from Linux's /proc; BenchError elsewhere."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError as error:
        raise BenchError(f"memory cannot be measured here ({error}): bench runs on Linux") from error
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024
