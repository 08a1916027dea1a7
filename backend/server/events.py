"""What webhooks mean, and what they enqueue. Answers in milliseconds: no torch, no call to Label Studio.

Events are hints; the reconcile job heals what a lost one leaves behind.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from backend.labelstudio.accepted import accepted_mark
from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.project.sharing import projects_of
from backend.queue.signs import hear
from backend.queue.work import Work
from backend.records.state import ProjectState, finetune_depth
from backend.records.wishes import TAKE_BACK, Wishes
from backend.server.bodies import BadRequest, project_id, shown, text
from backend.settings import Settings
from model.storage.documents_in_bucket import Haste

log = logging.getLogger(__name__)
CHANGED = "PROJECT_UPDATED"
REFILL = 20  # seconds in which the labels of a paused project become one look at its queue
SOON = 2  # seconds in which a burst of events becomes one reconcile
SUBMIT_SECONDS = 5  # in which a label's own event follows the START_TRAINING of its Submit


@dataclass(frozen=True)
class Wake:
    """A job that an event asks for, in the words of `Work.wake`."""

    kind: str
    project: int
    delay: float = 0
    labels: int = 0
    gives_way: bool = False


Meaning = dict[str, Wake | str]  # {"job": what to wake}, with "finetune" beside it, or {"ignored": why}


def handle(payload: dict[str, Any], settings: Settings, work: Work) -> dict[str, Any]:
    """Enqueue what one event asks for; returns `{"job": id}` or `{"ignored": why}`. Raises BadRequest."""
    (answer,) = handle_all([payload], settings, work)
    if isinstance(answer, Exception):
        raise answer
    return answer


def handle_all(payloads: Sequence[dict[str, Any]], settings: Settings, work: Work) -> list[dict[str, Any] | Exception]:
    """Enqueue what events ask for, in their order: an answer for each, as `handle` has it, or what it raises.

    Alike ones in a row are one act on Redis, which counts their labels together. Raises RedisError.
    """
    read = lru_cache(maxsize=None)(projects_of(settings, Haste.SERVING).read)
    acts = _Acts()
    changed: set[int] = set()
    planned: list[dict[str, int | str] | Exception] = []
    for payload in payloads:
        try:
            meaning = _meaning(payload, settings, read)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one event is for its own request to tell
            planned.append(error)
        else:
            if payload.get("action") == CHANGED:
                changed.add(project_id(payload.get("project")))
            planned.append({name: acts.add(part) if isinstance(part, Wake) else part for name, part in meaning.items()})
    jobs = acts.carry_out(work)
    for project in changed:
        hear(work.redis, project)
    return [
        plan if isinstance(plan, Exception) else {name: jobs.get(part, part) for name, part in plan.items()} for plan in planned
    ]


class _Acts:
    """What a row of events asks of Redis, in its order; what is alike is one act."""

    def __init__(self) -> None:
        self._wakes: list[Wake] = []
        self._last: dict[tuple[str, int], int] = {}  # the number of the last one of a kind for a project

    def add(self, wake: Wake) -> int:
        """Plan `wake`, as a part of the last one of its kind for its project where they differ in the number of labels alone.
        Returns the number of the act."""
        number = self._last.get((wake.kind, wake.project))
        if (
            number is not None
            and (last := self._wakes[number]).labels
            and wake.labels
            and replace(wake, labels=last.labels) == last
        ):
            self._wakes[number] = replace(last, labels=last.labels + wake.labels)
        elif number is None or self._wakes[number] != wake:
            number = self._last[wake.kind, wake.project] = len(self._wakes)
            self._wakes.append(wake)
        return number

    def carry_out(self, work: Work) -> dict[int | str, str]:
        """The id of the job by the number of each act."""
        return {
            number: work.wake(act.kind, act.project, act.delay, act.labels, act.gives_way)
            for number, act in enumerate(self._wakes)
        }


def _meaning(payload: dict[str, Any], settings: Settings, read: Callable[[int], ProjectState]) -> Meaning:
    """What an event asks for. Raises BadRequest."""
    action, project = text(payload, "action"), project_id(payload.get("project"))
    state = read(project)
    if not state.connected:
        return {"ignored": f"project {project} is not connected: `al-backend connect --project {project}`"}
    if action == "START_TRAINING":
        return _start_training(payload["project"], project, state, settings)
    if action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED"):
        return _annotations(action, payload, project, state, settings)
    if action in ("TASKS_CREATED", "TASKS_DELETED"):
        return {"job": Wake("reconcile", project, SOON)}
    if action == CHANGED:
        return _project_updated(payload["project"], project, state)
    return {"ignored": f"{action[:50] or 'no action'} means nothing to active learning"}


def _start_training(info: Any, project: int, state: ProjectState, settings: Settings) -> Meaning:
    """A person pressed Start Training: a round at once, and a fine-tuning where the project wants one.

    With "Start model training on annotation submission" Label Studio sends the same with each Submit, right before the
    label's own event. So then the round waits a moment, in which that event puts it off as it puts off any other: what
    nobody puts off was a person's doing.
    """
    with_each_submit = info.get("min_annotations_to_start_training") if isinstance(info, dict) else 0
    if with_each_submit and state.paused:
        return {"ignored": f"project {project} is paused"}
    if with_each_submit:
        return {"job": Wake("round", project, SUBMIT_SECONDS, gives_way=True)}
    depth = finetune_depth(state, settings)
    also: Meaning = {"finetune": Wake(f"finetune_{depth}", project)} if depth else {}
    return {"job": Wake("round", project), **also}


def _annotations(action: str, payload: dict[str, Any], project: int, state: ProjectState, settings: Settings) -> Meaning:
    """A label more, changed or less. A skip teaches nothing: it only moves the task back."""
    name = "annotations" if action == "ANNOTATIONS_DELETED" else "annotation"
    given = payload.get(name) or []
    annotations = [a for a in (given if isinstance(given, list) else [given]) if isinstance(a, dict)]
    if given and not annotations:
        raise BadRequest(f"{name} is {shown(given)}, which holds no annotation")
    if annotations and all(map(accepted_mark, annotations)):
        return {"ignored": "accepted labels teach nothing"}
    if action == "ANNOTATIONS_DELETED" and _taking_back(settings, project):  # one event for each that goes
        return {"job": Wake("reconcile", project, REFILL)}
    labels = [a for a in annotations if not a.get("was_cancelled")]
    if not labels:
        return {"job": Wake("reconcile", project, SOON)}
    if state.paused:  # nothing is learned, but the queue is refilled once half of it is used
        return {"job": Wake("reconcile", project, REFILL)}
    return {"job": Wake("round", project, settings.quiet_seconds, labels=len(labels))}


def _taking_back(settings: Settings, project: int) -> bool:
    """Whether accepted labels are being deleted, so that a deletion is none of a person's label, most likely; the reconcile
    sees where one is."""
    wishes = Wishes(projects_of(settings, Haste.SERVING).documents(project))
    return any(wish["act"] == TAKE_BACK for wish in wishes.waiting())


def _project_updated(info: Any, project: int, state: ProjectState) -> Meaning:
    """Our own switch sends this too: only other classes and a model_version that is not ours matter."""
    if not state.live or not isinstance(info, dict):
        return {"ignored": "nothing is published yet"}
    if info.get("model_version", state.live) != state.live:
        return {"job": Wake("reconcile", project, SOON)}
    try:
        xml = info.get("label_config")
        target = state.target if xml is None else parse_label_config(xml, state.control).as_dict()
    except LabelConfigError as error:
        log.warning("Project %s: %s", project, error)
        return {"ignored": str(error)}
    if target != state.target:
        return {"job": Wake("round", project, SOON)}
    return {"ignored": "nothing that matters changed"}
