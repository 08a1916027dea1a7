"""Runs the curves of a simulation, several at once. Each process uses one thread, so that their number changes no result."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from backend.processes import die_with_parent
from backend.simulate.curves import Curve, run_curve
from backend.simulate.draw import draw
from backend.simulate.embed import shared
from backend.simulate.images import Images
from backend.simulate.progress import Progress
from backend.simulate.protocol import Protocol
from backend.simulate.store import CurveStore, Run

LOOK_SECONDS = 0.5  # between looks at how far the processes are
Tell = Callable[[int], None]  # how many points of curves are done


@dataclass(frozen=True)
class Work:
    """What all curves have in common."""

    images: Images
    protocol: Protocol


def run_curves(work: Work, runs: Sequence[Run], store: CurveStore, jobs: int, cache: Path, line: Progress) -> dict[Run, Curve]:
    """The curves of `runs` by `jobs` processes, each put into the store as soon as it is finished."""
    found: dict[Run, Curve] = {}
    if not runs:
        return found
    points = len(work.protocol.grid(len(draw(work.images, work.protocol, runs[0].seed).pool)))
    line.start("labelling", len(runs) * points)

    def tell(done: int) -> None:
        line.reach(done, f"{len(found)} of {len(runs)} curves")

    jobs = min(jobs, len(runs))
    for run, curve in _alone(work, runs, tell) if jobs == 1 else _together(work, runs, jobs, cache, tell):
        store.put(run, curve)
        found[run] = curve
    return found


def _alone(work: Work, runs: Sequence[Run], tell: Tell) -> Iterator[tuple[Run, Curve]]:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        tell(done)

    with threadpool_limits(1):
        for run in runs:
            yield run, run_curve(work.images, work.protocol, run.method, run.seed, count)


def _together(work: Work, runs: Sequence[Run], jobs: int, cache: Path, tell: Tell) -> Iterator[tuple[Run, Curve]]:
    """Curves as they are finished. Processes are spawned: one forked after torch has computed can hang."""
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("q", 0)
    before = set(multiprocessing.active_children())
    with shared(work.images, cache) as path:
        bare = replace(work, images=replace(work.images, embeddings=np.zeros((0, 0), np.float16)))
        executor = ProcessPoolExecutor(jobs, spawn, _begin, (bare, path, counter))
        try:
            waiting = {executor.submit(_curve, run): run for run in runs}
            while waiting:
                for future in wait(waiting, LOOK_SECONDS, FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
                tell(counter.value)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:  # busy ones too, where something went wrong
                process.terminate()


_work: Work  # of this process
_counter: "Synchronized[int]"


def _begin(bare: Work, path: Path, counter: "Synchronized[int]") -> None:
    global _work, _counter
    die_with_parent()
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():  # it was killed while this process started
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    threadpool_limits(1)
    _work = replace(bare, images=replace(bare.images, embeddings=np.load(path, mmap_mode="r")))
    _counter = counter


def _curve(run: Run) -> Curve:
    def count() -> None:
        with _counter.get_lock():
            _counter.value += 1

    return run_curve(_work.images, _work.protocol, run.method, run.seed, count)
