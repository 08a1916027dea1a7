"""Waiting at the terminal for a job that a worker runs."""

from collections.abc import Callable
from typing import Any

from rq.job import Job

from backend.commands.shared import CommandError
from backend.queue.waiting import JobFailed, result_of
from backend.queue.work import Work
from backend.status.jobs import describe_job, job_values
from backend.terminal import ProgressLine


def follow(work: Work, job_id: str, seconds: float = float("inf"), failed: Callable[[], str] = lambda: "") -> Any:
    """Wait for a job, showing how far it is; returns what it returned.

    Raises CommandError where it failed for good, where no worker takes it, after `seconds`, or once `failed` gives a reason.
    """
    line = ProgressLine()

    def show(job: Job) -> None:
        state = job.get_status(refresh=False).value
        line.update(describe_job(job_values(job)) + ("" if state == "started" else f" ({state})"))

    try:
        return result_of(work, job_id, seconds, failed, show)
    except JobFailed as error:
        raise CommandError(str(error)) from error
    finally:
        line.end()
