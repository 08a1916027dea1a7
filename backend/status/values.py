"""What `al-backend status` tells, as plain values: of each project its version, labels, F1 and queue, what runs, what
cannot be used, and what Label Studio has otherwise than it was made."""

import time
from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rq import Worker
from rq.worker import BaseWorker

from backend.connection.comparison import THERE, Comparer, Known, Standing
from backend.index.index import UNLABELLED
from backend.index.index_file import IndexUnavailable
from backend.project.shared_index import known_index
from backend.project.sharing import projects_of
from backend.queue.sightings import sighted, trouble_with
from backend.queue.signs import unfit_of
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.records.ahead import Ahead
from backend.records.history import summary
from backend.records.kept import note_of, versions_of
from backend.records.state import DataDirError, Projects, ProjectState, finetune_depth
from backend.settings import Settings
from backend.status.accepting import NONE, accepting_values
from backend.status.jobs import jobs_values
from backend.status.people import NOBODY, people_values
from model.backbone_note import title_of
from model.storage.documents_in_bucket import Haste
from model.version_store import VersionError, VersionStore

NOTHING: dict[str, Any] = {
    "tasks": {"unlabelled": 0, "labelled": 0, "skipped": 0, "unusable": 0, "accepted": 0, "unreadable": 0},
    "queue_left": 0,
    "ahead": 0,
    "people": NOBODY,
    "accepting": NONE,
    "pace": None,
    "problems": [],
}  # where the index cannot be read


def status(
    settings: Settings,
    work: Work,
    only: Collection[int] | None = None,
    compared: bool = True,
    haste: Haste = Haste.HURRIED,
) -> dict[str, Any]:
    """Everything, as plain values for JSON, of all projects or `only` of these. Asks Label Studio, and does without it where it
    does not answer; unless `compared`, each project counts as being there as it was made: a list of many would take long.
    haste: see `projects_of`."""
    projects, comparer = projects_of(settings, haste), Comparer(settings) if compared else None
    workers = [w for w in Worker.all(connection=work.redis) if set(w.queue_names()) & {*QUEUES, FINETUNE}]
    known = [
        _project(settings, work, projects, comparer, project) for project in projects.ids() if only is None or project in only
    ]
    connected = {entry["project"] for entry in known if entry.get("connected")}
    return {
        "label_studio": settings.label_studio_url,
        "workers": [_worker(worker) for worker in workers],
        "projects": known,
        "sighted": {
            project: {"seen": _iso(moment), "trouble": trouble_with(work.redis, project)}
            for project, moment in sighted(work.redis).items()
            if project not in connected
        },
    }


def _worker(worker: BaseWorker) -> dict[str, Any]:
    """Its queues, what it does, and why it takes no job, "" where it does."""
    unfit = unfit_of(worker.connection, worker.key)
    return {"name": worker.name, "queues": worker.queue_names(), "state": str(worker.get_state()), "unfit": unfit}


def _project(settings: Settings, work: Work, projects: Projects, comparer: Comparer | None, project: int) -> dict[str, Any]:
    try:
        state = projects.read(project)
    except DataDirError as error:  # a damaged file costs its own project alone
        return {"project": project, "unknown": str(error)}
    versions = versions_of(projects, project)
    indexed, published = _index(projects, project, state)
    tasks = sum(indexed["tasks"][name] for name in ("unlabelled", "labelled", "skipped", "unusable", "accepted"))
    return {
        "project": project,
        "connected": state.connected,
        "paused": state.paused,
        "control": state.control,
        "strategy": state.strategy or settings.strategy,
        "live": state.live or None,
        "versions": [version_values(versions, name) for name in versions.names()],
        **indexed,
        "pending_labels": work.pending(project),
        "jobs": jobs_values(work.active(project)),
        "backbone": _backbone(projects, project, versions, state),
        "migration": state.migration or None,
        "finetune": finetune_depth(state, settings) or "off",
        "finetuned": state.finetuned or None,
        "errors": sorted(state.errors.values(), reverse=True),
        "last_error": state.last_error or None,
        "label_studio": asdict(comparer.compare(project, Known(state, tasks, published)) if comparer else Standing(THERE)),
    }


def _index(projects: Projects, project: int, state: ProjectState) -> tuple[dict[str, Any], dict[int, float]]:
    """What the index tells: tasks by state, what is left of the queue, and problems; and what was published, by task."""
    documents = projects.documents(project)
    try:
        with known_index(projects, project) as index:
            if not index:
                return NOTHING, {}
            published = index.published.scores(state.live)
            left = sum(place < 0.5 for place in index.tasks.published(state.live, UNLABELLED).values())
            people, accepting = people_values(index), accepting_values(documents, index)
            problems = [asdict(problem) | {"text": str(problem)} for problem in index.problems()]
            sent = index.tasks.known(Ahead(documents).tasks().tolist())
            ahead = sum(what == UNLABELLED for what, _ in sent.values())
            told = {"tasks": index.counts(), "queue_left": left, "ahead": ahead, "people": people}
            told |= {"accepting": accepting, "pace": index.answers.pace(), "problems": problems}
            return told, published
    except IndexUnavailable as error:
        trouble = {"kind": "index", "reason": str(error), "count": 0, "tasks": [], "text": str(error)}
        return NOTHING | {"problems": [trouble]}, {}


def _backbone(projects: Projects, project: int, versions: VersionStore, state: ProjectState) -> dict[str, Any] | None:
    """The backbone of the live version, None before the first."""
    try:
        name = versions.about(state.live)["backbone"]
    except VersionError:
        return None
    note = note_of(projects, project, name)
    return {
        "name": name,
        "title": title_of(note.network, note.weights),
        "arithmetic": note.arithmetic,
        "preprocessing": note.preprocessing,
        "retrained": note.depth,
    }


def version_values(versions: VersionStore, name: str) -> dict[str, Any]:
    """What `status` tells of the version `name`; its name alone where it cannot be read."""
    try:
        about = versions.about(name)
    except VersionError:
        return {"name": name}
    return summary(about) | {"created": _iso(about["created"]), "backbone": about["backbone"]}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(min(moment, time.time())).isoformat(timespec="seconds")
