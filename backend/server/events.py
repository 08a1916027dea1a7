"""What a webhook means, and what it enqueues. Answers in milliseconds: no torch, no call to Label Studio.

Events are hints; the reconcile job heals what a lost one leaves behind.
"""

import logging
from typing import Any

from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.project.state import Projects, ProjectState, finetune_depth
from backend.queue.work import Work
from backend.settings import Settings

log = logging.getLogger(__name__)
SOON = 2  # seconds in which a burst of events becomes one reconcile


class BadRequest(ValueError):
    """A request that makes no sense; the message says why."""


def handle(payload: dict[str, Any], settings: Settings, work: Work) -> dict[str, Any]:
    """Enqueue what the event asks for; returns `{"job": id}` or `{"ignored": why}`. Raises BadRequest without a project."""
    action = str(payload.get("action") or "")
    project = project_id(payload.get("project"))
    state = Projects(settings.data_dir).read(project)
    if not state.connected:
        return {"ignored": f"project {project} is not connected: `python -m backend connect --project {project}`"}
    if action == "START_TRAINING":
        depth = finetune_depth(state, settings)
        also = {"finetune": work.wake(f"finetune_{depth}", project)} if depth else {}
        return {"job": work.wake("round", project)} | also
    if action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"):
        return _annotations(action, payload, project, state, settings, work)
    if action in ("TASKS_CREATED", "TASKS_DELETED"):
        return {"job": work.wake("reconcile", project, SOON)}
    if action == "PROJECT_UPDATED":
        return _project_updated(payload["project"], project, state, work)
    return {"ignored": f"{action or 'no action'} means nothing to active learning"}


def project_id(project: Any) -> int:
    """The id in a payload's `project`: a dict with `id`, a number, or "{id}.{created}". Raises BadRequest."""
    value = project.get("id") if isinstance(project, dict) else project
    try:
        return int(str(value).split(".")[0])
    except ValueError as error:
        raise BadRequest(f"project={str(value)[:50]!r} is no project id") from error


def _annotations(
    action: str, payload: dict[str, Any], project: int, state: ProjectState, settings: Settings, work: Work
) -> dict[str, Any]:
    """A label more, changed or less. A skip teaches nothing: it only moves the task back."""
    given = payload.get("annotations" if action == "ANNOTATIONS_DELETED" else "annotation") or []
    annotations = given if isinstance(given, list) else [given]
    labels = [a for a in annotations if not a.get("was_cancelled")]
    if not labels:
        return {"job": work.wake("reconcile", project, SOON)}
    if state.paused:
        return {"ignored": f"project {project} is paused"}
    return {"job": work.wake("round", project, settings.quiet_seconds, labels=len(labels))}


def _project_updated(info: Any, project: int, state: ProjectState, work: Work) -> dict[str, Any]:
    """Our own switch sends this too: only other classes and a model_version that is not ours matter."""
    if not state.live or not isinstance(info, dict):
        return {"ignored": "nothing is published yet"}
    if info.get("model_version", state.live) != state.live:
        return {"job": work.wake("reconcile", project, SOON)}
    try:
        xml = info.get("label_config")
        target = state.target if xml is None else parse_label_config(xml, state.control).as_dict()
    except LabelConfigError as error:
        log.warning("Project %s: %s", project, error)
        return {"ignored": str(error)}
    if target != state.target:
        return {"job": work.wake("round", project, SOON)}
    return {"ignored": "nothing that matters changed"}
