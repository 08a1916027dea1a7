"""Putting a queue into Label Studio: publish first, check, switch, and clean up later.

Label Studio serves tasks by `prediction.score` among the predictions of `project.model_version` alone. A version is
published whole before the switch, so no annotator ever meets half a queue, and the old queue goes last.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.jobs.audits import serve_audits
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import Target
from backend.learning.places import LAST
from backend.learning.rounds import Ranking
from backend.project.session import Session

log = logging.getLogger(__name__)
REFUSALS = (400, 413, 422)  # answers that may be the fault of one prediction, or of too many at once
MANY = 20  # refused ones after which it is no matter of single predictions any more
GONE = "the task was deleted meanwhile"
DROPPED = "dropped without a word, as a score outside [0, 1] or a choice that the labelling config does not have"


class PublishError(RuntimeError):
    """Label Studio did not store what was sent."""


class Superseded(RuntimeError):
    """A later job works on this project, or its labelling config changed meanwhile: this one must not write any more."""


def publish(session: Session, version: str, ranking: Ranking, check: Callable[[], None]) -> int:
    """Import `ranking` as predictions of `version`, which has none yet; returns how many tasks were published.

    Tasks that were deleted meanwhile are left out. A prediction that Label Studio does not take costs itself alone. Raises
    PublishError where it does not take half of them, Superseded, LabelStudioError.
    """
    stored, refusals = _publish(session, version, ranking, check)
    if 2 * refusals.total() > len(ranking.tasks):
        raise PublishError(
            f"Label Studio did not store {refusals.total()} of {len(ranking.tasks)} predictions of {version}: "
            f"{refusals.most_common(1)[0][0]}. Nothing was switched; the next round tries again."
        )
    return stored


def publish_more(session: Session, version: str, ranking: Ranking, check: Callable[[], None]) -> int:
    """Import `ranking` for a version that Label Studio holds already, in place of what it stores of these tasks for it.

    What is there is asked of Label Studio, not of our record: "Retrieve predictions" adds to it, and so does an import whose
    answer never came. Raises Superseded, LabelStudioError.
    """
    stored = stored_predictions(session, version)
    for task in ranking.tasks.tolist():
        for prediction in stored.get(task, []):
            check()
            session.label_studio.delete_prediction(prediction["id"])
    return _publish(session, version, ranking, check)[0]


def _publish(session: Session, version: str, ranking: Ranking, check: Callable[[], None]) -> tuple[int, "Counter[str]"]:
    """How many predictions are stored now, and why others are not."""
    session.progress("publishing", 0, len(ranking.tasks))
    serve_audits(session, ranking.tasks, check)
    refused = import_each(session, version, _predictions(session, version, ranking), check)
    stored = ranking.only(set(ranking.tasks.tolist()) - set(refused))
    session.index.published.add(version, stored.tasks, stored.places, stored.slots)
    reasons = Counter(reason for reason in refused.values() if reason != GONE)
    for reason, count in reasons.items():
        some = ", ".join(str(task) for task in [task for task in refused if refused[task] == reason][:3])
        log.warning("Project %s: %d predictions of %s not stored (task %s): %s", session.project, count, version, some, reason)
    session.progress("publishing", len(stored.tasks), len(stored.tasks))
    return len(stored.tasks), reasons


def stored_predictions(session: Session, version: str) -> dict[int, list[dict[str, Any]]]:
    """What Label Studio stores under `version`: the predictions of each task, the one it serves by first."""
    stored: dict[int, list[dict[str, Any]]] = {}
    for prediction in session.label_studio.predictions(session.project, version):
        stored.setdefault(prediction["task"], []).append(prediction)
    for predictions in stored.values():
        predictions.sort(key=lambda p: (LAST if p["score"] is None else p["score"], p["id"]))
    return stored


def _predictions(session: Session, version: str, ranking: Ranking) -> list[dict[str, Any]]:
    """`ranking` as Label Studio imports it. A random slot, and a task that no head can tell yet, carries no pre-annotation:
    nothing sways the annotator."""
    regions: list[list[dict[str, Any]]] = [[] for _ in ranking.tasks]
    if ranking.probabilities is not None:
        for row in np.flatnonzero(~ranking.slots).tolist():
            regions[row] = session.target.guess(ranking.probabilities[row])
    return [
        {"task": task, "result": result, "score": place, "model_version": version}
        for task, place, result in zip(ranking.tasks.tolist(), ranking.places.tolist(), regions, strict=True)
    ]


def import_each(session: Session, version: str, predictions: list[dict[str, Any]], check: Callable[[], None]) -> dict[int, str]:
    """Import `predictions`, in halves where Label Studio refuses them together. Returns why tasks have none: GONE, or what it
    said of a prediction alone. Raises LabelStudioError where that is no matter of one prediction."""
    refused: dict[int, str] = {}
    waiting = [predictions] if predictions else []
    known: set[int] | None = None  # those of the tasks that are there, asked for once it matters
    while waiting:
        part = [sent for sent in waiting.pop() if known is None or sent["task"] in known]
        try:
            check()
            created = session.label_studio.import_predictions(session.project, part) if part else 0
        except LabelStudioError as error:
            if error.status not in REFUSALS or len(refused) >= MANY:
                raise
            if known is None:
                tasks = [sent["task"] for sent in predictions]
                known = session.label_studio.there(session.project, tasks)
                session.index.forget(set(tasks) - known)
                refused |= {task: GONE for task in tasks if task not in known}
                waiting.append(part)
            elif len(part) == 1:
                refused[part[0]["task"]] = str(error)
            else:
                waiting += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            if created != len(part):
                stored = stored_predictions(session, version)
                refused |= {sent["task"]: DROPPED for sent in part if sent["task"] not in stored}
    return refused


def switch(session: Session, version: str, check: Callable[[], None]) -> None:
    """Let the queue follow `version`, which must have been published. Our own record comes first, so that the webhook
    which the switch sends is recognised as our own; a crash between the two is mended by the next reconcile."""
    check()
    session.learned.history.add(version)
    with session.edit() as state:
        state.switch_to(version, session.target.as_dict(), session.backbone)
    if session.index.published.scores(version):
        session.label_studio.patch_project(session.project, model_version=version)
        with session.edit() as state:
            state.told(version)
        log.info("Project %s: the queue follows %s", session.project, version)


def config_unchanged(session: Session, target: Target) -> bool:
    """Whether the labelling config still asks what this job has worked on."""
    session.look()
    return session.target == target


def as_ranking(tasks: NDArray[np.int64], places: NDArray[np.float64], probabilities: NDArray[np.float32] | None) -> Ranking:
    """Tasks outside the queue, to be published at `places`."""
    return Ranking(tasks, places, np.zeros(len(tasks), bool), probabilities)
