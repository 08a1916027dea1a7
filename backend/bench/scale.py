"""What a project of up to a million images takes on one machine: a round, a refill of the queue and `status`, in seconds and in
memory.

As in `requeue.py` everything between Label Studio's answers is real and on disk, and only the images are made up. Each runs in
a process of its own, which has nothing in memory from the one before.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from backend.bench.figures import Bench, BenchError, Row
from backend.bench.requeue import CONFIG, DIMENSIONS, all_unseen, made_up_rules, make_project, requeue, warm_up
from backend.index.index import Index
from backend.labelstudio.labelling_config import parse_label_config
from backend.project.arrays import labelled_and_pool
from backend.project.refill import next_images
from backend.queue.redis_server import EmbeddedRedis, connect_redis
from backend.queue.work import Work
from backend.records.sample import KeptSample
from backend.records.state import Projects
from backend.settings import Settings
from backend.status.values import status
from model.embeddings.embedding_store import EmbeddingStore
from model.storage.documents import DocumentsOnDisk
from model.version_store import VersionStore

ON_REQUEST = True
SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}  # images
PARTS = ("round", "refill", "status")
ROWS = tuple(f"scale.{part}_{name}{unit}" for name in SIZES for part in PARTS for unit in ("", ".memory"))
GOALS = {"round": 30.0, "refill": 30.0, "status": 1.0}  # seconds, at most, at every size
MEMORY = 8.0  # GiB, at most, at every size
LABELS = 1000
SHARD = 8192  # images: what a store comes to that is compacted as it grows
PROJECT = 1
GIB = 2**30


def measure(bench: Bench) -> Iterator[Row]:
    """Seconds and the peak of resident memory of each part at each size. Raises BenchError on a disk too small."""
    for name, size in SIZES.items():
        if not any(bench.wants(f"scale.{part}_{name}{unit}") for part in PARTS for unit in ("", ".memory")):
            continue
        _check_room(bench.folder, size)
        data_dir = bench.folder / name
        folder = Projects(data_dir).folder(PROJECT)
        started = time.monotonic()
        make_project(folder, size, LABELS, SHARD)
        bench.say(f"  project of {size} images made in {time.monotonic() - started:.0f} s")
        conditions = f"{size:,} x {DIMENSIONS}, {LABELS} labels"
        for part, work in zip(PARTS, (take_round, take_refill, take_status), strict=True):
            seconds, gib = _in_a_process(work, data_dir)
            bench.say(f"  {part} of {size} images in {seconds:.2f} s, {gib:.2f} GiB")
            yield Row.at_most(f"scale.{part}_{name}", seconds, "s", conditions, GOALS[part])
            yield Row.at_most(f"scale.{part}_{name}.memory", gib, "GiB", conditions, MEMORY)
        shutil.rmtree(data_dir)


def _check_room(folder: Path, size: int) -> None:
    needed, free = size * (DIMENSIONS * 2 + 512), shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{folder.parent} has {free / GIB:.1f} GiB free and {size:,} images take {needed / GIB:.1f}: choose another place "
            "with --folder"
        )


def _in_a_process(work: Callable[[Path], float], data_dir: Path) -> tuple[float, float]:
    """(seconds, GiB at the peak) of `work` in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        try:
            return process.submit(_cost, work, data_dir).result()
        except BrokenProcessPool:
            raise BenchError("killed: out of memory?") from None


def _cost(work: Callable[[Path], float], data_dir: Path) -> tuple[float, float]:
    warm_up()
    return work(data_dir), peak() / GIB


def peak() -> int:
    """The most resident memory that this process has had, in bytes, from Linux's /proc; BenchError elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise BenchError(f"memory cannot be measured here ({error}): bench runs on Linux") from error
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def take_round(data_dir: Path) -> float:
    """Seconds of a round's own part."""
    import torch  # noqa: F401  as a worker has done

    started = time.perf_counter()
    requeue(Projects(data_dir).folder(PROJECT), parse_label_config(CONFIG))
    return time.perf_counter() - started


def take_refill(data_dir: Path) -> float:
    """Seconds until it is known what comes next in a queue that is used up, after a round."""
    import torch  # noqa: F401  as a worker has done

    folder, settings = Projects(data_dir).folder(PROJECT), Settings()
    versions = VersionStore(folder / "versions")
    live = versions.load(versions.names()[-1])
    index = Index(folder / "index.sqlite")
    try:
        index.published.forget(live.name)
        started = time.perf_counter()
        draw = partial(KeptSample(DocumentsOnDisk(folder)).draw, share=settings.explore)
        store = EmbeddingStore(folder / "embeddings", DIMENSIONS)
        classes = parse_label_config(CONFIG).classes
        labelled, pool = labelled_and_pool(index.tasks.arrays(), classes, store, draw, all_unseen)
        ranking = next_images(index, np.zeros(0, np.int64), live, labelled, pool, made_up_rules(settings))
        index.published.add(live.name, ranking.tasks, ranking.places, ranking.slots)
        return time.perf_counter() - started
    finally:
        index.close()


def take_status(data_dir: Path) -> float:
    """Seconds until `status` knows all that it tells, but for what Label Studio says."""
    settings, projects = Settings(data_dir=data_dir, store=""), Projects(data_dir)
    projects.prepare()
    with projects.edit(PROJECT) as state:
        state.live, state.connected = VersionStore(projects.folder(PROJECT) / "versions").names()[-1], True
    server = EmbeddedRedis(data_dir)
    server.start()
    try:
        with connect_redis(settings) as redis:
            work = Work(redis, settings.retrain_after)
            started = time.perf_counter()
            found = status(settings, work, compared=False)
            seconds = time.perf_counter() - started
    finally:
        server.stop()
    (project,) = found["projects"]
    if not project["queue_left"]:
        raise BenchError("the queue that a round and a refill have left is not told")
    return seconds
