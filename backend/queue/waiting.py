"""Waiting for a job that a worker runs."""

import time
from collections.abc import Callable
from typing import Any

from rq import Worker
from rq.job import Job

from backend.queue.work import Work

NO_WORKER_SECONDS = 15  # that a job may wait while no worker takes jobs from its queue
LOOK_SECONDS = 0.2  # between two looks


class JobFailed(RuntimeError):
    """Nothing came of a job; the message says why and what to do."""


def result_of(
    work: Work,
    job_id: str,
    seconds: float = float("inf"),
    failed: Callable[[], str] = lambda: "",
    watch: Callable[[Job], object] = lambda _: None,
) -> Any:
    """Wait for the job `job_id`, which `watch` is shown again and again; returns what it returned.

    Raises JobFailed where it failed for good, where no worker takes it, after `seconds`, or once `failed` gives a reason.
    """
    deadline, lonely = time.monotonic() + seconds, time.monotonic() + NO_WORKER_SECONDS
    while time.monotonic() < deadline:
        job = work.job(job_id)
        if job is None:
            raise JobFailed(f"{job_id} is gone from Redis: see the worker's log.")
        state = job.get_status().value
        if state == "finished":
            return job.return_value()
        if state in ("failed", "stopped", "canceled"):
            result = job.latest_result()
            last = (result.exc_string or "").strip().splitlines()[-1:] if result else []
            raise JobFailed(f"{job_id} {state}: {''.join(last) or 'see the worker log'}")
        if reason := failed():
            raise JobFailed(f"{job_id} failed: {reason}")
        if state in ("scheduled", "queued") and time.monotonic() > lonely and not _served(work, job):
            raise JobFailed(
                f"{job_id} waits, but no worker takes jobs from {job.origin}: start `al-backend up`, "
                f"or `al-backend worker {job.origin}`."
            )
        watch(job)
        time.sleep(LOOK_SECONDS)
    raise JobFailed(f"{job_id} did not finish within {seconds:.0f} s; `al-backend status` shows how far it is.")


def _served(work: Work, job: Job) -> bool:
    """Whether any worker takes jobs from the job's queue."""
    return any(job.origin in worker.queue_names() for worker in Worker.all(connection=work.redis))
