"""What the plugin does with a large project in a real Label Studio, part by part, and what people do between: each is run in a
process of its own, with the plugin's settings in its environment, and gives the seconds that it took."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

import numpy as np

from backend.bench.figures import BenchError
from backend.bench.scale import SHARD
from backend.index.index import UNLABELLED
from backend.labelstudio.client import LabelStudio
from backend.learning.slots import slot_order
from backend.project.session import Session
from backend.queue.redis_server import connect_redis
from backend.queue.work import KINDS, Work
from backend.records.state import Projects
from backend.settings import get_settings
from backend.status.values import status

CLUSTERS = 60  # of the made-up embeddings


def read_tasks(project: int) -> float:
    """Every task is read into the index, which has a few of them."""
    with Session(get_settings(), project) as session:
        return _seconds(session.sync)


def take_job(kind: str, project: int) -> float:
    """A job of `kind`, as a worker takes it. Raises BenchError where it did not work."""
    import torch  # noqa: F401  as a worker has done

    settings = get_settings()
    work = Work(connect_redis(settings), settings.retrain_after)
    room, _, name = KINDS[kind].function.rpartition(".")
    job = getattr(import_module(room), name)
    seconds = _seconds(lambda: job(project, work.generation(kind, project)))
    if error := Projects(settings.data_dir).read(project).errors.get(kind):
        raise BenchError(error)
    return seconds


def take_status(project: int) -> float:
    """`status`, with what Label Studio says."""
    settings = get_settings()
    work = Work(connect_redis(settings), settings.retrain_after)
    return _seconds(lambda: status(settings, work, [project]))


def make_up_embeddings(project: int) -> float:
    """Every image that has no embedding is given a made-up one, near the centre of one of CLUSTERS by its task's id."""
    with Session(get_settings(), project) as session:
        every, store, random = session.index.tasks.arrays(), session.store, np.random.default_rng(0)
        centres = random.standard_normal((CLUSTERS, store.dimensions), np.float32)
        store.refresh()
        missing = np.flatnonzero(~store.has(every.keys))
        for start in range(0, len(missing), SHARD):
            rows = missing[start : start + SHARD]
            vectors = centres[every.tasks[rows] % CLUSTERS] + random.standard_normal((len(rows), store.dimensions), np.float32)
            store.add(every.keys[rows].tolist(), vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return 0.0


def label_at_random(count: int, project: int) -> float:
    """People label the `count` images that come first in the order of random slots."""
    with Session(get_settings(), project) as session:
        tasks = session.index.tasks.of(UNLABELLED)
        return _label(session, tasks[slot_order(tasks)][:count].tolist())


def label_queue(share: float, project: int) -> float:
    """People label the first `share` of the queue."""
    with Session(get_settings(), project) as session:
        size = round(share * session.settings.queue_size)
        return _label(session, [row.task for row, *_ in session.index.published.queue(session.state.live, size)])


def lose_index(project: int) -> float:
    """The index is gone, as with a disk that has failed."""
    for file in Projects(get_settings().data_dir).folder(project).glob("index.sqlite*"):
        file.unlink()
    return 0.0


def delete_tasks(count: int, project: int) -> float:
    """Somebody deletes `count` tasks, here and there."""
    with Session(get_settings(), project) as session:
        tasks = session.index.tasks.of(UNLABELLED)
        for task in tasks[:: len(tasks) // count][:count].tolist():
            session.label_studio.request("DELETE", f"/api/tasks/{task}/")
    return 0.0


def _label(session: Session, tasks: Sequence[int]) -> float:
    """Give each of `tasks` a class, which follows from its id as its embedding does."""
    session.look()
    for task in tasks:
        _annotate(session.label_studio, session.target.classes[task % CLUSTERS % len(session.target.classes)], task)
    return 0.0


def _annotate(label_studio: LabelStudio, name: str, task: int) -> None:
    value = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
    label_studio.annotate(task, {"result": [value]})


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


Step = Callable[[int], float]  # (project) -> seconds
STEPS: tuple[tuple[str, Step], ...] = (
    ("read", read_tasks),
    ("", make_up_embeddings),
    ("", partial(label_at_random, 300)),
    ("round", partial(take_job, "round")),
    ("reconcile", partial(take_job, "reconcile")),
    ("", partial(delete_tasks, 3)),
    ("deleted", partial(take_job, "reconcile")),
    ("", partial(label_queue, 0.6)),
    ("refill", partial(take_job, "reconcile")),
    ("", partial(take_job, "round")),
    ("clean", partial(take_job, "clean")),
    ("status", take_status),
    ("", lose_index),
    ("lost_index", partial(take_job, "reconcile")),
)  # what is measured by its name, and what only leads to it, in their order
