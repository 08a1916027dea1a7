"""What `python -m backend status` tells: of each project its version, labels, F1, queue, and what runs or went wrong."""

import time
from datetime import datetime
from typing import Any

from rq import Worker
from rq.job import Job

from backend.project.index import UNLABELLED, Index
from backend.project.state import Projects, finetune_depth
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.settings import Settings
from backend.terminal import ProgressLine
from model.metrics import ENOUGH
from model.version_store import VersionError, VersionStore

NO_WORKER_SECONDS = 15
PROGRESS = ("step", "done", "total", "macro_f1", "seconds_left")  # what a job's meta tells
SMALL_GAIN = 0.005  # of macro F1: what hardly anybody would label on for
DEPTH_NAMES = {"last": "last stage", "all": "whole network"}


def status(settings: Settings, work: Work) -> dict[str, Any]:
    """Everything, as plain values for JSON."""
    projects = Projects(settings.data_dir)
    workers = [w for w in Worker.all(connection=work.redis) if set(w.queue_names()) & {*QUEUES, FINETUNE}]
    return {
        "workers": [{"name": w.name, "queues": w.queue_names(), "state": str(w.get_state())} for w in workers],
        "projects": [_project(settings, work, projects, project) for project in projects.ids()],
    }


def _project(settings: Settings, work: Work, projects: Projects, project: int) -> dict[str, Any]:
    state = projects.read(project)
    versions = VersionStore(projects.folder(project) / "versions")
    index = Index(projects.folder(project) / "index.sqlite")
    published = index.published(state.live)
    open_tasks = {row.task for row in index.rows() if row.state == UNLABELLED}
    counts = index.counts()
    index.close()
    return {
        "project": project,
        "connected": state.connected,
        "paused": state.paused,
        "strategy": state.strategy or settings.strategy,
        "live": state.live or None,
        "versions": [_version(versions, name) for name in versions.names()],
        "tasks": counts,
        "pending_labels": work.pending(project),
        "queue_left": sum(place < 0.5 and task in open_tasks for task, place in published.items()),
        "jobs": [_job(job) for job in work.active(project)],
        "finetune": finetune_depth(state, settings) or "off",
        "finetuned": state.finetuned or None,
        "last_error": state.last_error or None,
    }


def _version(versions: VersionStore, name: str) -> dict[str, Any]:
    try:
        about = versions.about(name)
    except VersionError:
        return {"name": name}
    metrics = about["metrics"]
    return {
        "name": name,
        "created": datetime.fromtimestamp(about["created"]).isoformat(timespec="seconds"),
        "labels": about["labels"],
        "backbone": about["backbone"],
        "macro_f1": metrics.get("macro_f1"),
        "interval": metrics.get("interval"),
        "random_slots": metrics.get("n", 0),
        "enough": metrics.get("enough", False),
        "gain": metrics.get("gain"),
    }


def _job(job: Job) -> dict[str, Any]:
    meta = job.get_meta()
    return {"id": job.id, "status": job.get_status().value, **{key: meta[key] for key in PROGRESS if key in meta}}


def render(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"Workers: {len(found['workers'])}" + ("" if found["workers"] else "  (none: `python -m backend up` starts them)")]
    if not found["projects"]:
        lines.append("No project is connected: `python -m backend connect --project ID`.")
    for project in found["projects"]:
        lines += ["", *_render_project(project)]
    return "\n".join(lines)


def _render_project(p: dict[str, Any]) -> list[str]:
    tasks = p["tasks"]
    words = ["connected" if p["connected"] else "not connected"] + (["paused"] if p["paused"] else [])
    live = next((v for v in p["versions"] if v["name"] == p["live"]), None)
    lines = [
        f"Project {p['project']} ({', '.join(words)}), strategy {p['strategy']}",
        f"  live version   {p['live'] or 'none yet'}" + (f", {live['labels']} labels" if live and "labels" in live else ""),
        f"  macro F1       {f1(live)}",
        f"  {next_labels(live)}",
        f"  tasks          {tasks['labelled']} labelled, {tasks['unlabelled']} to do, {tasks['skipped']} skipped, "
        f"{tasks['unusable']} tied or empty, {tasks['unreadable']} unreadable",
        f"  queue          {p['queue_left']} images left in order; {p['pending_labels']} labels wait for the next round",
        f"  versions       {', '.join(v['name'] for v in p['versions']) or 'none yet'}",
    ]
    lines += [f"  fine-tuned     {describe_finetuned(p['finetuned'])}"] if p["finetuned"] else []
    lines += [f"  {job['status']:<14} {describe(job)}" for job in p["jobs"]]
    if p["last_error"]:
        lines.append(f"  last error     {p['last_error']}")
    return lines


def f1(version: dict[str, Any] | None) -> str:
    """A version's macro F1 with its interval, or why there is none."""
    if not version or version.get("macro_f1") is None:
        return "not measured yet: no random slot is labelled, or this ResNet50 has learned them all"
    low, high = version["interval"]
    text = f"{version['macro_f1']:.3f} ({low:.3f} to {high:.3f}, 95 %) on {version['random_slots']} random slots"
    return text if version["enough"] else f"{text}: too few yet"


def next_labels(version: dict[str, Any] | None) -> str:
    """What the next labels are expected to bring, and whether that is worth them, or why it cannot be told."""
    if not version or not version.get("enough"):
        return "next labels    too few random slots to tell yet"
    gain = version.get("gain")
    if not gain:
        return "next labels    not measured: one class only, or nothing left to label"
    name = f"next {gain['labels']} labels"
    low, high = gain["interval"]
    advice = "hardly worth it" if high < SMALL_GAIN else "worth it" if low > 0 else "not sure that they help"
    expected = f"{100 * gain['macro_f1']:+.1f} points of macro F1 expected ({100 * low:+.1f} to {100 * high:+.1f}, 95 %)"
    return f"{name:<14} {expected}: {advice}"


def _served(work: Work, job: Job) -> bool:
    """Whether any worker takes jobs from the job's queue."""
    return any(job.origin in worker.queue_names() for worker in Worker.all(connection=work.redis))


def describe(job: dict[str, Any]) -> str:
    """A job's id and how far it is."""
    if "step" not in job:
        return job["id"]
    text = f"{job['id']}: {job['step']} {job['done']}/{job['total']}"
    text += f", macro F1 {job['macro_f1']:.3f}" if job.get("macro_f1") is not None else ""
    left = job.get("seconds_left")
    return text if left is None else f"{text}, {left / 60:.0f} min left" if left >= 100 else f"{text}, {left:.0f} s left"


def describe_finetuned(result: dict[str, Any]) -> str:
    """What came of a fine-tuning, in one sentence."""
    what = f"ResNet50's {DEPTH_NAMES[result['depth']]} retrained on {result['labels']} labels"
    if result["probability"] is None:
        return f"{what}: not used, no random slot is left to judge it on; kept as {result['version']}"
    low, high = (100 * value for value in result["interval"])
    judged = (
        f"{what}: macro F1 {result['new']:.3f} against {result['live']:.3f} on {result['n']} images that it has not seen "
        f"({low:+.1f} to {high:+.1f} points, 95 %), better with probability {result['probability']:.2f}"
    )
    if result["promoted"]:
        return f"{judged}: promoted"
    few = f", too few yet (promotions need {ENOUGH})" if result["n"] < ENOUGH else ""
    return f"{judged}: not used{few}, kept as {result['version']}"


def follow(work: Work, job_id: str, seconds: float = float("inf")) -> Any:
    """Wait for a job, showing how far it is; returns what it returned.

    Raises RuntimeError where it failed for good, TimeoutError after `seconds`.
    """
    deadline, lonely = time.monotonic() + seconds, time.monotonic() + NO_WORKER_SECONDS
    line = ProgressLine()
    try:
        while time.monotonic() < deadline:
            job = work.job(job_id)
            if job is None:
                raise RuntimeError(f"{job_id} is gone from Redis: see the worker's log.")
            state = job.get_status().value
            if state == "finished":
                return job.return_value()
            if state in ("failed", "stopped", "canceled"):
                result = job.latest_result()
                reason = (result.exc_string or "").strip().splitlines()[-1:] if result else []
                raise RuntimeError(f"{job_id} {state}: {''.join(reason) or 'see the worker log'}")
            if state in ("scheduled", "queued") and time.monotonic() > lonely and not _served(work, job):
                raise RuntimeError(
                    f"{job_id} waits, but no worker takes jobs from {job.origin}: start `python -m backend up`, "
                    f"or `python -m backend worker {job.origin}`."
                )
            line.update(describe(_job(job)) + ("" if state == "started" else f" ({state})"))
            time.sleep(0.2)
    finally:
        line.end()
    raise TimeoutError(f"{job_id} did not finish within {seconds:.0f} s; `python -m backend status` shows how far it is.")
