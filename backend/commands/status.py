"""What `python -m backend status` tells: of each project its version, labels, F1, queue, and what runs or went wrong."""

import json
from datetime import datetime
from typing import Any

import click
from rq import Worker

from backend.commands.follow import describe_job, job_values
from backend.commands.shared import open_work, say, with_settings
from backend.project.index import UNLABELLED, Index
from backend.project.outcome import describe_finetuned
from backend.project.state import Projects, finetune_depth
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.settings import Settings
from model.version_store import VersionError, VersionStore

SMALL_GAIN = 0.005  # of macro F1: what hardly anybody would label on for


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@with_settings
def status_command(settings: Settings, as_json: bool) -> None:
    """Show of each project its version, F1, queue, jobs and errors.

    \b
    Examples:
      python -m backend status
      python -m backend status --json
    """
    found = status(settings, open_work(settings))
    say(json.dumps(found, indent=1) if as_json else render(found))


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
        "jobs": [job_values(job) for job in work.active(project)],
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
        "unjudged": metrics.get("unjudged", 0),
        "gain": metrics.get("gain"),
    }


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
    lines += [f"  {job['status']:<14} {describe_job(job)}" for job in p["jobs"]]
    if p["last_error"]:
        lines.append(f"  last error     {p['last_error']}")
    return lines


def f1(version: dict[str, Any] | None) -> str:
    """A version's macro F1 with its interval, or why there is none."""
    if not version or version.get("macro_f1") is None:
        return "not measured yet: no random slot is labelled, or this ResNet50 has learned them all"
    low, high = version["interval"]
    text = f"{version['macro_f1']:.3f} ({low:.3f} to {high:.3f}, 95 %) on {version['random_slots']} random slots"
    text = text if version["enough"] else f"{text}: too few yet"
    unjudged = version.get("unjudged", 0)
    return f"{text}; of {unjudged} images imported since nobody has judged enough yet" if unjudged else text


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
