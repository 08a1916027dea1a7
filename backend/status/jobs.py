"""How far a job is."""

from collections.abc import Iterable
from typing import Any

from rq.job import Job

from backend.queue.claims import EMBEDDING

PROGRESS = ("step", "done", "total", "macro_f1", "seconds_left")  # what a job's meta tells


def jobs_values(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """The `job_values` of each job of a project; those that embed its images together are one, with how many "workers" are
    at it: each tells how far all of them are, and the next one waits only for a worker to be free."""
    every = [job_values(job) for job in jobs]
    embedding = [values for values in every if values["id"].startswith("embed-")]
    running = [values for values in embedding if values["status"] == "started"]
    if not running:
        return every
    furthest = max(running, key=lambda values: values["done"] if values.get("step") == EMBEDDING else -1)
    one = furthest | {"workers": len(running)}
    return [one if values is furthest else values for values in every if values is furthest or values not in embedding]


def job_values(job: Job) -> dict[str, Any]:
    """A job's id, status and progress as plain values."""
    meta = job.get_meta()
    return {"id": job.id, "status": job.get_status().value, **{key: meta[key] for key in PROGRESS if key in meta}}


def describe_job(values: dict[str, Any]) -> str:
    """A job's id and how far it is, from its `job_values`."""
    if "step" not in values:
        return str(values["id"])
    text = f"{values['id']}: {values['step']} {values['done']}/{values['total']}"
    text += f" by {values['workers']} workers" if values.get("workers", 1) > 1 else ""
    text += f", macro F1 {values['macro_f1']:.3f}" if values.get("macro_f1") is not None else ""
    left = values.get("seconds_left")
    return text if left is None else f"{text}, {left / 60:.0f} min left" if left >= 100 else f"{text}, {left:.0f} s left"
