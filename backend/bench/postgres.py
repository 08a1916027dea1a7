"""What a project of very many tasks in a real Label Studio on PostgreSQL takes: seconds and the worker's memory of a first
queue and all that follows, also where another model has made a prediction for each task.

All of it is real but most embeddings, which are made up once the first queue is there: to embed 100,000 photos takes too long.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context

from backend.bench.child import free_port
from backend.bench.connect import add_tasks
from backend.bench.figures import Bench, BenchError, Row, Skipped
from backend.bench.label_studio import ENVIRONMENT, LabelStudioServer, find_or_make_project, import_images, wait_for_tasks
from backend.bench.large_jobs import STEPS, Step
from backend.bench.memory import FamilyPeak
from backend.bench.photos import CLASSES, write_photos
from backend.bench.plugin import Plugin, environment
from backend.bench.postgresql import PostgreSQL, find_programs
from backend.bench.scale import GIB, peak
from backend.labelstudio.client import LabelStudio
from backend.queue.redis_server import EmbeddedRedis

ON_REQUEST = True
KINDS = ("", "_foreign")  # of projects: one without other predictions, one with another model's for each task
PARTS = ("first_queue", *(name for name, _ in STEPS if name))
ROWS = tuple(f"postgres.{part}{kind}{unit}" for kind in KINDS for part in PARTS for unit in ("", ".memory"))
IMPORT_QUICKLY = {"fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short": "true"}  # as docs/scale.md says
THEIRS, TOGETHER = "another-model", 5000  # predictions in one request
PHOTOS = 40  # that the tasks show in turn


def measure(bench: Bench) -> Iterator[Row]:
    """Seconds and the peak of resident memory of each part. Raises Skipped where Label Studio or PostgreSQL is not here."""
    with _label_studio(bench) as server, server.client() as client:
        for kind in KINDS:
            if not any(bench.wants(f"postgres.{part}{kind}{unit}") for part in PARTS for unit in ("", ".memory")):
                continue
            bench.say(f"  importing {bench.tasks} tasks ...")
            project = _make_project(bench, client, kind)
            conditions = f"{bench.tasks:,} tasks" + (f", each with a prediction by {THEIRS}" if kind else "")
            for part, seconds, gib in _project(bench, server, project):
                bench.say(f"  {part}{kind} in {seconds:.1f} s, {gib:.2f} GiB")
                yield Row.at_most(f"postgres.{part}{kind}", seconds, "s", conditions)
                yield Row.at_most(f"postgres.{part}{kind}.memory", gib, "GiB", conditions)


@contextmanager
def _label_studio(bench: Bench) -> Iterator[LabelStudioServer]:
    """One on a PostgreSQL of its own, both new. Raises Skipped where either is not here."""
    programs = find_programs()
    if bench.label_studio is None:
        raise Skipped("there is no Label Studio here: name one with --label-studio FILE, such as VENV/bin/label-studio")
    if programs is None:
        raise Skipped(
            "there is no PostgreSQL here: install one, as with `apt-get install postgresql`, or put its initdb on the PATH"
        )
    bench.say("  starting a Label Studio on PostgreSQL ...")
    database = PostgreSQL(programs, bench.folder.parent)
    with ExitStack() as held:
        held.callback(database.stop)
        database.start()
        variables = ENVIRONMENT | IMPORT_QUICKLY | database.environment
        server = LabelStudioServer(bench.label_studio.parent.parent, bench.folder / "label-studio", free_port(), variables)
        held.callback(server.stop)
        server.start()
        yield server


def _make_project(bench: Bench, client: LabelStudio, kind: str) -> int:
    """A project of `bench.tasks` tasks, whose images are PHOTOS photos."""
    project = find_or_make_project(client, f"{bench.tasks} tasks{kind}", CLASSES)
    import_images(client, project, write_photos(bench.folder / "photos", PHOTOS), lambda *_: None)
    wait_for_tasks(client, project, PHOTOS)
    photos = [task["data"] for page in client.tasks(project) for task in page]
    add_tasks(client, project, photos, bench.tasks - PHOTOS)
    if kind:
        tasks = [task["id"] for page in client.tasks(project) for task in page]
        for start in range(0, len(tasks), TOGETHER):
            part = tasks[start : start + TOGETHER]
            client.import_predictions(project, [{"task": t, "result": [], "score": 0.5, "model_version": THEIRS} for t in part])
    return project


def _project(bench: Bench, server: LabelStudioServer, project: int) -> Iterator[tuple[str, float, float]]:
    """Each part with its seconds and GiB, in the order of PARTS."""
    data_dir = bench.folder / f"plugin-{project}"
    values = {
        "LABEL_STUDIO_URL": server.url,
        "LABEL_STUDIO_API_KEY": server.personal_access_token(),
        "DATA_DIR": str(data_dir),
        "PORT": str(free_port()),
        "LOG_LEVEL": "ERROR",
    }
    values |= {"MODEL_WEIGHTS": str(bench.weights.resolve())} if bench.weights else {}
    yield "first_queue", *_first_queue(values, project)
    redis = EmbeddedRedis(data_dir)
    redis.start()
    try:
        for name, step in STEPS:
            seconds, gib = _in_a_process(step, values, project)
            if name:
                yield name, seconds, gib
    finally:
        redis.stop()


def _first_queue(values: dict[str, str], project: int) -> tuple[float, float]:
    """Seconds that `connect` takes, and GiB at the peak of the largest of the plugin's processes."""
    plugin = Plugin(values)
    try:
        plugin.start()
        with FamilyPeak(plugin.pid) as family:
            started = time.perf_counter()
            done = plugin.command("connect", "--project", str(project), capture=True)
            seconds = time.perf_counter() - started
    finally:
        plugin.stop()
    if done.returncode:
        raise BenchError(f"The project could not be connected: {done.stderr.strip()[-500:]}")
    return seconds, family.peak / GIB


def _in_a_process(step: Step, values: dict[str, str], project: int) -> tuple[float, float]:
    """(seconds, GiB at the peak) of `step` in a process of its own, with the plugin's settings in its environment."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_use, initargs=(values,)) as process:
        try:
            return process.submit(_cost, step, project).result()
        except BrokenProcessPool:
            raise BenchError("killed: out of memory?") from None


def _use(values: dict[str, str]) -> None:
    """Let `values` be this process's settings, and no others; nor those of a .env where the command was given."""
    kept = environment(values)
    os.environ.clear()
    os.environ.update(kept)
    os.chdir(values["DATA_DIR"])


def _cost(step: Step, project: int) -> tuple[float, float]:
    return step(project), peak() / GIB
