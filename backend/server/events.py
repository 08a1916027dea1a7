"""What a webhook means, and what it enqueues. Answers in milliseconds: no torch, no call to Label Studio.

Events are hints; the reconcile job heals what a lost one leaves behind.
"""

import logging
from typing import Any

from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.project.state import Projects, ProjectState, finetune_depth
from backend.queue.work import Work
from backend.server.bodies import BadRequest, project_id, shown, text
from backend.settings import Settings

log = logging.getLogger(__name__)
REFILL = 20  # seconds in which the labels of a paused project become one look at its queue
SOON = 2  # seconds in which a burst of events becomes one reconcile
SUBMIT_SECONDS = 5  # in which a label's own event follows the START_TRAINING of its Submit


def handle(payload: dict[str, Any], settings: Settings, work: Work) -> dict[str, Any]:
    """Enqueue what the event asks for; returns `{"job": id}` or `{"ignored": why}`. Raises BadRequest."""
    action, project = text(payload, "action"), project_id(payload.get("project"))
    state = Projects(settings.data_dir).read(project)
    if not state.connected:
        return {"ignored": f"project {project} is not connected: `al-backend connect --project {project}`"}
    if action == "START_TRAINING":
        return _start_training(payload["project"], project, state, settings, work)
    if action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"):
        return _annotations(action, payload, project, state, settings, work)
    if action in ("TASKS_CREATED", "TASKS_DELETED"):
        return {"job": work.wake("reconcile", project, SOON)}
    if action == "PROJECT_UPDATED":
        return _project_updated(payload["project"], project, state, work)
    return {"ignored": f"{action[:50] or 'no action'} means nothing to active learning"}


def _start_training(info: Any, project: int, state: ProjectState, settings: Settings, work: Work) -> dict[str, Any]:
    """A person pressed Start Training: a round at once, and a fine-tuning where the project wants one.

    With "Start model training on annotation submission" Label Studio sends the same with each Submit, right before the
    label's own event. So then the round waits a moment, in which that event puts it off as it puts off any other: what
    nobody puts off was a person's doing.
    """
    with_each_submit = info.get("min_annotations_to_start_training") if isinstance(info, dict) else 0
    if with_each_submit and state.paused:
        return {"ignored": f"project {project} is paused"}
    if with_each_submit:
        return {"job": work.wake("round", project, SUBMIT_SECONDS, gives_way=True)}
    depth = finetune_depth(state, settings)
    also = {"finetune": work.wake(f"finetune_{depth}", project)} if depth else {}
    return {"job": work.wake("round", project)} | also


def _annotations(
    action: str, payload: dict[str, Any], project: int, state: ProjectState, settings: Settings, work: Work
) -> dict[str, Any]:
    """A label more, changed or less. A skip teaches nothing: it only moves the task back."""
    name = "annotations" if action == "ANNOTATIONS_DELETED" else "annotation"
    given = payload.get(name) or []
    annotations = [a for a in (given if isinstance(given, list) else [given]) if isinstance(a, dict)]
    if given and not annotations:
        raise BadRequest(f"{name} is {shown(given)}, which holds no annotation")
    labels = [a for a in annotations if not a.get("was_cancelled")]
    if not labels:
        return {"job": work.wake("reconcile", project, SOON)}
    if state.paused:  # nothing is learned, but the queue is refilled once half of it is used
        return {"job": work.wake("reconcile", project, REFILL)}
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
