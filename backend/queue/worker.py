"""The RQ worker class: its jobs die with it, and what a dead worker leaves behind starts again within seconds.

RQ's own scheduler is not used: it is one process more a worker, and its lock outlives a killed one by a minute. A thread in
each worker looks after all queues instead, one act on Redis a second.

The worker's own process imports torch, so that a forked job starts in milliseconds, but never runs a tensor: a parent that
did would hang its children. On a GPU each job gets a process of its own instead.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import ConnectionPool, Redis
from redis.exceptions import RedisError
from rq import Queue, SpawnWorker, Worker
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.processes import die_with_parent, session_gives_way
from backend.queue.clock import follow
from backend.queue.signs import tell_unfit, tell_version
from backend.queue.work import FINETUNE, GIVES_WAY, KINDS, Work

log = logging.getLogger(__name__)
REARM_SECONDS = 60
HEARTBEAT_SECONDS = 3  # between a running job's signs of life
NICE = 5  # of a job: webhooks come first
UNFIT_SECONDS = (
    10  # until a worker says that it does not fit: the server that starts beside it may not have said yet what it is
)
GRACE = 6  # seconds such a sign may be late before another worker takes the job over


class ActiveLearningMixin:
    """What both worker classes share. why_unfit: tells why it must not take jobs at the moment, "" where it may."""

    why_unfit: Callable[[], str] = staticmethod(lambda: "")

    def register_birth(self) -> None:
        """Say also of which version this worker is."""
        super().register_birth()  # type: ignore[misc]
        tell_version(self.connection, self.key)  # type: ignore[attr-defined]

    def check_for_suspension(self, burst: bool) -> None:
        """Before each job: wait for as long as RQ's own switch, or `why_unfit`, says so."""
        super().check_for_suspension(burst)  # type: ignore[misc]
        told, since = "", time.monotonic()
        while not self._stop_requested and (why := self.why_unfit()):  # type: ignore[attr-defined]
            if why != told and time.monotonic() - since > UNFIT_SECONDS:
                log.error("This worker takes no job: %s", why)
                tell_unfit(self.connection, self.key, why)  # type: ignore[attr-defined]
                told = why
            self.heartbeat()  # type: ignore[attr-defined]
            time.sleep(1)
        if told:
            tell_unfit(self.connection, self.key, "")  # type: ignore[attr-defined]

    def main_work_horse(self, *args: Any) -> None:
        """The job's process: gone when the worker is, and polite to what runs beside it."""
        die_with_parent()
        os.nice(NICE)
        super().main_work_horse(*args)  # type: ignore[misc]

    def perform_job(self, job: Job, *args: Any) -> bool:
        """Run the function that stands for the job's kind today: an older version may have named another place."""
        try:
            kind = KINDS.get(job.id.split("-")[0])
            if kind and job.args is not None:  # the arguments are read before the name changes, else RQ loses them
                job.func_name = kind.function
            if kind and kind.nice:
                os.nice(kind.nice)
        except DeserializationError:
            log.warning("%s cannot be read", job.id)  # which RQ finds too, and fails the job
        return super().perform_job(job, *args)  # type: ignore[misc]

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002  RQ's signature
        """Seconds until a job without a heartbeat counts as abandoned."""
        return HEARTBEAT_SECONDS + GRACE


class ForkWorker(ActiveLearningMixin, Worker):
    """For processors: a job is a fork of the worker."""


class SpawningWorker(ActiveLearningMixin, SpawnWorker):
    """For GPUs, whose drivers do not survive a fork."""


def worker_class() -> type[ForkWorker | SpawningWorker]:
    """The class for this machine, chosen by torch without starting CUDA in the worker's own process."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return SpawningWorker if torch.cuda.is_available() else ForkWorker


def run_worker(
    redis: Redis, names: Sequence[str], rearm: Callable[[], None], log_level: str, why_unfit: Callable[[], str] = lambda: ""
) -> None:
    """Work on the queues `names` until told to stop; no job is taken while `why_unfit` gives a reason. `rearm` is called every
    minute."""
    session_gives_way(NICE + (GIVES_WAY if set(names) == {FINETUNE} else 0))
    threading.Thread(target=_look_after, args=(_connection_like(redis), rearm), daemon=True, name="upkeep").start()
    queues = [Queue(name, connection=redis, serializer=JSONSerializer) for name in names]
    worker = worker_class()(
        queues,
        connection=redis,
        serializer=JSONSerializer,
        worker_ttl=45,
        job_monitoring_interval=HEARTBEAT_SECONDS,
        maintenance_interval=30,
    )
    worker.why_unfit = why_unfit
    worker.work(logging_level=log_level)


def _look_after(redis: Redis, rearm: Callable[[], None]) -> None:
    """Every second start what is due and what a dead worker left behind; every minute call `rearm`."""
    work = Work(redis, retrain_after=1)
    rearmed = time.monotonic()
    answered = True
    while True:
        try:
            for job_id in work.upkeep():
                log.warning("%s: its worker is gone, it starts again", job_id)
            if time.monotonic() - rearmed > REARM_SECONDS:
                rearmed = time.monotonic()
                follow(redis)
                rearm()
            answered = True
        except (RedisError, OSError, ValueError) as error:
            if answered:
                log.warning("Upkeep of the queues waits: %s", error)
            answered = False
        time.sleep(1)


def _connection_like(redis: Redis) -> Redis:
    """A connection of its own to the same Redis: a fork of the main thread must not meet it halfway through a command."""
    pool = redis.connection_pool
    return Redis(connection_pool=ConnectionPool(pool.connection_class, **(pool.connection_kwargs | {"socket_timeout": 10})))
