"""`al-backend bench`: what each strategy costs on a pool of a million images, in seconds and in memory.

The pool is made up and memory-mapped from a file, as the product's embeddings are. Each strategy runs in a process of its
own, so that no one pays for another's memory.
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from backend.simulate.errors import OptionsError
from strategies import REGISTRY, get, pick
from strategies.query import Query

ROWS, DIMENSIONS, CLASSES = 1_000_000, 2048, 10
CLUSTERS = 50
LABELLED = 300
MEMBERS = 10  # of the committee
CHUNK = 20_000  # rows written at a time
GIB = 2**30
NAMES = (*REGISTRY, "margin+distinct", "margin+balanced", "badge+distinct")


@dataclass(frozen=True)
class Cost:
    """strategy: its name; seconds: for one query, with the checks of its arrays; ratio: to the seconds of random in the
    same run; gib: peak of resident anonymous memory of the whole process; error: why there is no figure."""

    strategy: str
    seconds: float | None = None
    ratio: float | None = None
    gib: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Bench:
    """rows: images in the pool; size: picks asked for; batch: labels given before the next query."""

    rows: int = ROWS
    size: int = 200
    batch: int = 10
    strategies: tuple[str, ...] = NAMES
    folder: Path | None = None  # where the pool's file is made; default: the system's temporary folder


def bench(options: Bench, say: Callable[[str], None]) -> list[Cost]:
    """The cost of each strategy, `random` first. Raises OptionsError on unknown names and on a disk too small."""
    for name in options.strategies:
        get(name)
    if options.rows < 1 or options.size < 1:
        raise OptionsError(f"--rows {options.rows} and --size {options.size} must be at least 1")
    names = dict.fromkeys(("random", *options.strategies))
    needed = options.rows * (DIMENSIONS * 2 + CLASSES * 4) + 2**24
    folder = options.folder or Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise OptionsError(f"--folder {folder} is no folder: make it first, or choose another")
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OptionsError(
            f"{folder} has {free / GIB:.1f} GiB free and the pool takes {needed / GIB:.1f}: "
            "choose another place with --folder, or fewer images with --rows"
        )
    with tempfile.TemporaryDirectory(prefix="al-bench-", dir=folder) as made:
        started = time.monotonic()
        make_pool(Path(made), options.rows)
        say(f"pool of {options.rows} x {DIMENSIONS} made in {time.monotonic() - started:.0f} s")
        costs: list[Cost] = []
        for name in names:
            cost = _in_a_process(Path(made), name, options)
            if cost.seconds is not None:
                random = (costs or [cost])[0].seconds
                cost = replace(cost, ratio=cost.seconds / random if random else None)
            costs.append(cost)
            say(f"{name}: {cost.error or f'{cost.seconds:.2f} s, {cost.gib:.2f} GiB'}")
    return costs


def render(costs: list[Cost]) -> str:
    """The costs as a table for people."""
    wide = max(len(cost.strategy) for cost in costs)
    lines = [f"{'strategy':{wide}}  seconds  x random    GiB"]
    for c in costs:
        figures = f"{c.seconds or 0:7.2f}  {c.ratio or 0:8.1f}  {c.gib or 0:5.2f}"
        lines.append(f"{c.strategy:{wide}}  {c.error or figures}")
    return "\n".join(lines)


def as_json(costs: list[Cost], options: Bench) -> str:
    """The costs as JSON for scripts."""
    asked = {"rows": options.rows, "dimensions": DIMENSIONS, "size": options.size, "batch": options.batch}
    return json.dumps(asked | {"strategies": [asdict(cost) for cost in costs]}, indent=1)


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


def _in_a_process(folder: Path, name: str, options: Bench) -> Cost:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            seconds, gib = process.submit(measure, folder, name, options.size, options.batch).result()
        except BrokenProcessPool:
            return Cost(name, error="killed: out of memory?")
        except MemoryError as error:
            return Cost(name, error=f"out of memory: {error}")
    return Cost(name, seconds, gib=gib)


def measure(folder: Path, name: str, size: int, batch: int) -> tuple[float, float]:
    """(seconds, GiB) of one query for `size` picks on the pool in `folder`, in this process."""
    embeddings, probabilities = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("embeddings", "probabilities"))
    ask = partial(_pick, name, embeddings, probabilities, batch)
    ask(slice(0, 500), 20)  # imports and warms up
    with PeakMemory() as peak:
        started = time.perf_counter()
        ask(slice(None), size)
        seconds = time.perf_counter() - started
    return seconds, peak.bytes / GIB


def _pick(name: str, embeddings: NDArray, probabilities: NDArray, batch: int, rows: slice, size: int) -> NDArray[np.int64]:
    pool, p = embeddings[rows], probabilities[rows]
    known = np.sort(np.random.default_rng(2).choice(len(p), min(LABELLED, len(p)), replace=False))
    heads = _heads(MEMBERS)
    query = Query(
        np.arange(len(p)),
        p,
        embeddings=pool,
        labelled=pool[known],
        labels=p[known].argmax(axis=1),
        labelled_probabilities=p[known],
        committee=lambda asked: softmax(pool[asked].astype(np.float32) @ heads, axis=2),
        batch=batch,
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
    """Resident anonymous memory of this process in bytes, from Linux's /proc; OptionsError elsewhere."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError as error:
        raise OptionsError(f"memory cannot be measured here ({error}): bench runs on Linux") from error
    line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024
