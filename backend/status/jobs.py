"""How far a job is."""

from typing import Any

from rq.job import Job

PROGRESS = ("step", "done", "total", "macro_f1", "seconds_left")  # what a job's meta tells


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
