"""Waiting at the terminal for a job that a worker runs."""

import time
from collections.abc import Callable
from typing import Any

from rq import Worker
from rq.job import Job

from backend.commands.shared import CommandError
from backend.queue.work import Work
from backend.terminal import ProgressLine

NO_WORKER_SECONDS = 15
PROGRESS = ("step", "done", "total", "macro_f1", "seconds_left")  # what a job's meta tells


def follow(work: Work, job_id: str, seconds: float = float("inf"), failed: Callable[[], str] = lambda: "") -> Any:
    """Wait for a job, showing how far it is; returns what it returned.

    Raises CommandError where it failed for good, where no worker takes it, after `seconds`, or once `failed` gives a reason.
    """
    deadline, lonely = time.monotonic() + seconds, time.monotonic() + NO_WORKER_SECONDS
    line = ProgressLine()
    try:
        while time.monotonic() < deadline:
            job = work.job(job_id)
            if job is None:
                raise CommandError(f"{job_id} is gone from Redis: see the worker's log.")
            state = job.get_status().value
            if state == "finished":
                return job.return_value()
            if state in ("failed", "stopped", "canceled"):
                result = job.latest_result()
                last = (result.exc_string or "").strip().splitlines()[-1:] if result else []
                raise CommandError(f"{job_id} {state}: {''.join(last) or 'see the worker log'}")
            if reason := failed():
                raise CommandError(f"{job_id} failed: {reason}")
            if state in ("scheduled", "queued") and time.monotonic() > lonely and not _served(work, job):
                raise CommandError(
                    f"{job_id} waits, but no worker takes jobs from {job.origin}: start `al-backend up`, "
                    f"or `al-backend worker {job.origin}`."
                )
            line.update(describe_job(job_values(job)) + ("" if state == "started" else f" ({state})"))
            time.sleep(0.2)
    finally:
        line.end()
    raise CommandError(f"{job_id} did not finish within {seconds:.0f} s; `al-backend status` shows how far it is.")


def job_values(job: Job) -> dict[str, Any]:
    """A job's id, status and progress as plain values."""
    meta = job.get_meta()
    return {"id": job.id, "status": job.get_status().value, **{key: meta[key] for key in PROGRESS if key in meta}}


def describe_job(values: dict[str, Any]) -> str:
    """A job's id and how far it is, from its `job_values`."""
    if "step" not in values:
        return str(values["id"])
    text = f"{values['id']}: {values['step']} {values['done']}/{values['total']}"
    text += f", macro F1 {values['macro_f1']:.3f}" if values.get("macro_f1") is not None else ""
    left = values.get("seconds_left")
    return text if left is None else f"{text}, {left / 60:.0f} min left" if left >= 100 else f"{text}, {left:.0f} s left"


def _served(work: Work, job: Job) -> bool:
    """Whether any worker takes jobs from the job's queue."""
    return any(job.origin in worker.queue_names() for worker in Worker.all(connection=work.redis))
