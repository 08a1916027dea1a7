"""Runs the curves of a simulation, several at once. Each process uses one thread, so that their number changes no result."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from backend.processes import die_with_parent
from backend.simulate.curves import Curve, run_curve
from backend.simulate.dataset import Dataset
from backend.simulate.draw import draw
from backend.simulate.embed_dataset import shared
from backend.simulate.progress import StepLine
from backend.simulate.protocol import CEILING, Protocol
from backend.simulate.store import CurveStore, Trial

LOOK_SECONDS = 0.5  # between looks at how far the processes are
Tell = Callable[[int], None]  # how many points of curves are done


@dataclass(frozen=True)
class Experiment:
    """What all curves have in common."""

    images: Dataset
    protocol: Protocol

    def run(self, trial: Trial, report: Callable[[], None]) -> Any:
        """What comes of a trial: its curve. `report` is called after each point."""
        return run_curve(self.images, self.protocol, trial.method, trial.seed, report)


def run_curves(
    experiment: Experiment, trials: Sequence[Trial], store: CurveStore, jobs: int, cache: Path, line: StepLine
) -> dict[Trial, Curve]:
    """The curves of `trials` by `jobs` processes, each put into the store as soon as it is finished."""
    curves: dict[Trial, Curve] = {}
    if not trials:
        return curves
    points = len(experiment.protocol.grid(len(draw(experiment.images, experiment.protocol, trials[0].seed).pool)))
    single = sum(trial.method == CEILING for trial in trials)
    line.start("labelling", (len(trials) - single) * points + single)

    def tell(done: int) -> None:
        line.reach(done, f"{len(curves)} of {len(trials)} curves")

    for trial, curve in run_trials(experiment, trials, jobs, cache, tell):
        store.put(trial, curve)
        curves[trial] = curve
    return curves


def run_trials(
    experiment: Experiment, trials: Sequence[Trial], jobs: int, cache: Path, tell: Tell
) -> Iterator[tuple[Trial, Any]]:
    """What comes of each of `trials`, by `jobs` processes, as soon as it is finished."""
    jobs = min(jobs, len(trials))
    return _alone(experiment, trials, tell) if jobs == 1 else _together(experiment, trials, jobs, cache, tell)


def _alone(experiment: Experiment, trials: Sequence[Trial], tell: Tell) -> Iterator[tuple[Trial, Any]]:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        tell(done)

    with threadpool_limits(1):
        for trial in trials:
            yield trial, experiment.run(trial, count)


def _together(
    experiment: Experiment, trials: Sequence[Trial], jobs: int, cache: Path, tell: Tell
) -> Iterator[tuple[Trial, Any]]:
    """Results as they are finished. Processes are spawned: one forked after torch has computed can hang."""
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("q", 0)
    before = set(multiprocessing.active_children())
    with shared(experiment.images, cache) as path:
        bare = replace(experiment, images=replace(experiment.images, embeddings=np.zeros((0, 0), np.float16)))
        executor = ProcessPoolExecutor(jobs, spawn, _begin, (bare, path, counter))
        try:
            waiting = {executor.submit(_run, trial): trial for trial in trials}
            while waiting:
                for future in wait(waiting, LOOK_SECONDS, FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
                tell(counter.value)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - before:  # busy ones too, where something went wrong
                process.terminate()


_experiment: Experiment  # of this process
_counter: "Synchronized[int]"


def _begin(bare: Experiment, path: Path, counter: "Synchronized[int]") -> None:
    global _experiment, _counter
    die_with_parent()
    parent = multiprocessing.parent_process()
    if parent and not parent.is_alive():  # it was killed while this process started
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    threadpool_limits(1)
    _experiment = replace(bare, images=replace(bare.images, embeddings=np.load(path, mmap_mode="r")))
    _counter = counter


def _run(trial: Trial) -> Any:
    def count() -> None:
        with _counter.get_lock():
            _counter.value += 1

    return _experiment.run(trial, count)
