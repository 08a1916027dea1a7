"""How far a job is."""

from collections.abc import Iterable
from typing import Any

from rq.job import Job

from backend.queue.claims import EMBEDDING

PROGRESS = ("step", "done", "total", "macro_f1", "seconds_left", "backbone")  # what a job's meta tells


def jobs_values(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """The `job_values` of each job of a project. Those that embed its images together, with the same backbone, are one, with
    how many "workers" are at it: each tells how far all of them are, and the next one waits only for a worker to be free."""
    every = [job_values(job) for job in jobs]
    running = [values for values in every if values["status"] == "started" and (_embeds(values) or _helps(values))]
    groups: dict[str, list[dict[str, Any]]] = {}
    for values in sorted(running, key=_embeds, reverse=True):  # who has not begun yet is at what the others are at
        backbone = values.get("backbone", "") if _embeds(values) else next(iter(groups), "")
        groups.setdefault(backbone, []).append(values)
    others = [values for values in every if values not in running and not (groups and _helps(values))]
    return [_together(group) for group in groups.values()] + others


def _embeds(values: dict[str, Any]) -> bool:
    return values.get("step") == EMBEDDING


def _helps(values: dict[str, Any]) -> bool:
    return str(values["id"]).startswith("embed-")


def _together(group: list[dict[str, Any]]) -> dict[str, Any]:
    """One of the jobs of a `group`, with how far all are, under the name of the one that leads, where one does."""
    furthest = max(group, key=lambda values: values["done"] if _embeds(values) else -1)
    leads = next((values for values in group if not _helps(values)), furthest)
    return furthest | {"id": leads["id"], "workers": len(group)}


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
