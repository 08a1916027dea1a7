"""How soon the server answers after it is started, and how soon a worker begins with a job.

Needs no Label Studio: the job is a round of a project that nobody connected, whose first act is that of any other.
"""

import statistics
import sys
import time
from collections.abc import Iterator

from backend.bench.child import Child, free_port
from backend.bench.figures import Bench, Row
from backend.bench.plugin import environment
from backend.queue.redis_server import EmbeddedRedis, connect_redis
from backend.queue.work import TRAIN, Work
from backend.settings import Settings

ROWS = ("start.health", "start.job")
STARTS, JOBS = 5, 20
HEALTH_GOAL = 1.0
STRANGER = 1  # a project that is not connected
DEADLINE = 60.0
PAUSE = 0.5  # for a job to end and its worker to wait again


def measure(bench: Bench) -> Iterator[Row]:
    """Medians: seconds from a cold `serve` to the first answer of /health; milliseconds from an enqueued job to its first
    line of work, in a worker that waits."""
    port = free_port()
    values = {"DATA_DIR": str(bench.folder / "data"), "PORT": str(port), "LABEL_STUDIO_API_KEY": "none", "LOG_LEVEL": "WARNING"}
    values |= {"MODEL_WEIGHTS": str(bench.weights.resolve())} if bench.weights else {}
    settings = Settings(data_dir=bench.folder / "data", store="")
    redis = EmbeddedRedis(settings.data_dir)
    redis.start()
    try:
        if bench.wants("start.health"):
            seconds = [_start(bench, values) for _ in range(STARTS)]
            against = f"from the command to the answer, median of {STARTS}"
            yield Row.at_most("start.health", statistics.median(seconds), "s", against, HEALTH_GOAL)
        if bench.wants("start.job"):
            waits = _jobs(bench, values, settings)
            against = f"from enqueued to its first act on Redis, median of {JOBS}"
            yield Row.at_most("start.job", 1000 * statistics.median(waits), "ms", against)
    finally:
        redis.stop()


def _start(bench: Bench, values: dict[str, str]) -> float:
    """Seconds from the start of `serve` to its first answer."""
    server = Child(f"http://127.0.0.1:{values['PORT']}/health", "The server did not start; its messages are above.")
    started = time.perf_counter()
    try:
        server.launch([sys.executable, "-m", "backend", "serve"], environment(values), bench.folder, None, pause=0.005)
        return time.perf_counter() - started
    finally:
        server.stop()


def _jobs(bench: Bench, values: dict[str, str], settings: Settings) -> list[float]:
    """Seconds from waking a round to its first act, which raises the project's generation."""
    redis = connect_redis(settings)
    work = Work(redis, settings.retrain_after)
    worker = Child("", "The worker did not start; its messages are above.")
    worker.spawn([sys.executable, "-m", "backend", "worker", TRAIN], environment(values), bench.folder, None)
    try:
        waits = []
        for _ in range(JOBS + 1):  # the first one waits for the worker to start
            before = work.generation("round", STRANGER)
            started = time.perf_counter()
            work.wake("round", STRANGER)
            while work.generation("round", STRANGER) == before:
                if not worker.alive() or time.perf_counter() - started > DEADLINE:
                    raise RuntimeError(f"The worker did not begin with a job within {DEADLINE:g} s; its messages are above")
                time.sleep(0.001)
            waits.append(time.perf_counter() - started)
            time.sleep(PAUSE)
        return waits[1:]
    finally:
        worker.stop()
        redis.close()
