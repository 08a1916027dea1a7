"""The RQ worker class: its jobs die with it, a dead worker's jobs come back within a minute, lost wake-ups are re-armed.

The worker's own process imports torch, so that a forked job starts in milliseconds, but never runs a tensor: a parent that
did would hang its children. On a GPU each job gets a process of its own instead.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from rq import SpawnWorker, Worker
from rq.scheduler import RQScheduler

from backend.processes import die_with_parent

log = logging.getLogger(__name__)
REARM_SECONDS = 60
GRACE = 15  # seconds a job's heartbeat may be late before another worker takes the job over


class Scheduler(RQScheduler):
    """RQ's scheduler process, tied to its worker's life."""

    def work(self) -> None:
        """The process's main loop."""
        die_with_parent()
        super().work()


class ActiveLearningMixin:
    """What both worker classes share. rearm: called at the start and every minute."""

    rearm: Callable[[], None] | None = None
    _rearmed = 0.0

    def main_work_horse(self, *args: Any) -> None:
        """The job's process: gone when the worker is, and polite to the server beside it."""
        die_with_parent()
        os.nice(5)
        super().main_work_horse(*args)  # type: ignore[misc]

    def get_heartbeat_ttl(self, job: Any, working_time: float = 0.0) -> int:  # noqa: ARG002  RQ's signature
        """Seconds until a job without a heartbeat counts as abandoned."""
        return int(self.job_monitoring_interval) + GRACE  # type: ignore[attr-defined]

    def run_maintenance_tasks(self) -> None:
        """RQ's own upkeep, and ours."""
        super().run_maintenance_tasks()  # type: ignore[misc]
        if self.rearm and time.monotonic() - self._rearmed > REARM_SECONDS:
            self._rearmed = time.monotonic()
            self.rearm()

    def _start_scheduler(self: Any, burst: bool = False, logging_level: Any = "INFO", *_: Any) -> None:
        if burst:
            return
        self.scheduler = Scheduler(
            self.queues, connection=self.connection, logging_level=logging_level, serializer=self.serializer
        )
        self.scheduler.acquire_locks(auto_start=True)


class ForkWorker(ActiveLearningMixin, Worker):  # type: ignore[misc]
    """For processors: a job is a fork of the worker."""


class SpawningWorker(ActiveLearningMixin, SpawnWorker):  # type: ignore[misc]
    """For GPUs, whose drivers do not survive a fork."""


def worker_class() -> type[Worker]:
    """The class for this machine, chosen by torch without starting CUDA in the worker's own process."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    import torch

    return SpawningWorker if torch.cuda.is_available() else ForkWorker
