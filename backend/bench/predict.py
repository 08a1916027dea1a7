"""How fast /predict answers: one task whose image is embedded already, one whose image is not, and very many tasks."""

import time
from collections.abc import Iterator

import httpx
import numpy as np

from backend.bench.figures import Bench, Row
from backend.bench.house import RETRAIN_AFTER, House

HOUSE = True
ROWS = ("predict.first", "predict.cached", "predict.new", "predict.all")
CALLS = 40
NOWHERE = 10**9  # ids of tasks that are not there: their images are not embedded
DEADLINE = 120.0


def measure(bench: Bench, house: House) -> Iterator[Row]:
    """The first call of a fresh server; 95th percentiles over calls with one task; one call with every task."""
    bench.say(f"  connected after {house.first_queue:.1f} s; predictions ...")
    tasks = [task for page in house.label_studio.tasks(house.project) for task in page]
    tasks = [{"id": task["id"], "data": task["data"], "project": house.project} for task in tasks]
    _learn(house)
    with httpx.Client(timeout=300, trust_env=False) as http:
        yield Row.at_most("predict.first", house.predict(http, tasks[:1]), "s", "the first call since the server started")
        cached = [house.predict(http, [tasks[number % len(tasks)]]) for number in range(CALLS)]
        yield Row.at_most("predict.cached", _p95(cached), "ms", f"one task, embedded before, {CALLS} calls")
        fresh = [tasks[number % len(tasks)] | {"id": NOWHERE + number} for number in range(CALLS + 1)]
        new = [house.predict(http, [task]) for task in fresh][1:]  # the first one loads the network
        yield Row.at_most("predict.new", _p95(new), "ms", f"one task, its image fetched and embedded, {CALLS} calls")
        yield Row.at_most("predict.all", house.predict(http, tasks), "s", f"{len(tasks):,} tasks in one call, embedded before")


def _learn(house: House) -> None:
    """See that there is a version with a head."""
    started = time.perf_counter()
    for _ in range(RETRAIN_AFTER):
        house.label_next()
    while not house.learned():
        if time.perf_counter() - started > DEADLINE:
            raise RuntimeError(f"The queue did not follow within {DEADLINE:g} s")
        time.sleep(0.2)


def _p95(seconds: list[float]) -> float:
    """Their 95th percentile in milliseconds."""
    return 1000 * float(np.percentile(seconds, 95))
