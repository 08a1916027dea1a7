"""Putting a queue into Label Studio: publish first, check, switch, and clean up later.

Label Studio serves tasks by `prediction.score` among the predictions of `project.model_version` alone. A version is
published whole before the switch, so no annotator ever meets half a queue, and the old queue goes last.
"""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import Target
from backend.learning.rounds import Ranking
from backend.project.session import Session

log = logging.getLogger(__name__)


class PublishError(RuntimeError):
    """Label Studio did not store what was sent."""


class Superseded(RuntimeError):
    """A later job works on this project, or its labelling config changed meanwhile: this one must not write any more."""


def publish(session: Session, version: str, ranking: Ranking, check: Callable[[], None]) -> int:
    """Import `ranking` as predictions of `version`; returns how many tasks were published.

    Tasks that were deleted meanwhile are left out. Raises PublishError, Superseded, LabelStudioError.
    """
    classes = session.target.classes
    session.progress("publishing", 0, len(ranking.tasks))
    check()
    try:
        created = _import(session, version, ranking, classes)
    except LabelStudioError as error:
        if error.status != 400:
            raise
        there = session.label_studio.task_ids(session.project)
        if there.issuperset(ranking.tasks.tolist()):
            raise
        session.index.keep_only(there)
        ranking = ranking.only(there)
        check()
        created = _import(session, version, ranking, classes)
    if created != len(ranking.tasks):
        raise PublishError(
            f"Label Studio stored {created} of {len(ranking.tasks)} predictions of {version}: a score outside [0, 1] or a "
            "choice that the labelling config does not have. Nothing was switched; the next round tries again."
        )
    session.index.add_published(version, ranking.tasks, ranking.places, ranking.slots)
    session.progress("publishing", created, created)
    return created


def _import(session: Session, version: str, ranking: Ranking, classes: tuple[str, ...]) -> int:
    if not len(ranking.tasks):
        return 0
    predictions = []
    for task, place, slot, number, confidence in zip(*(v.tolist() for v in vars(ranking).values()), strict=True):
        # A random slot and a task nobody can tell yet carry no pre-annotation: nothing sways the annotator.
        result = [] if slot or number < 0 else [session.target.region(classes[number], confidence)]
        predictions.append({"task": task, "result": result, "score": place, "model_version": version})
    return session.label_studio.import_predictions(session.project, predictions)


def switch(session: Session, version: str, check: Callable[[], None]) -> None:
    """Let the queue follow `version`, which must have been published. Our own record comes first, so that the webhook
    which the switch sends is recognised as our own; a crash between the two is mended by the next reconcile."""
    check()
    with session.edit() as state:
        state.live, state.returning = version, ""
        state.target = session.target.as_dict()
        if state.promoting == session.backbone:  # not where an older round ends only now
            state.promoting = ""
    if session.index.published(version):
        session.label_studio.patch_project(session.project, model_version=version)
        with session.edit() as state:
            state.followed = version
        log.info("Project %s: the queue follows %s", session.project, version)


def config_unchanged(session: Session, target: Target) -> bool:
    """Whether the labelling config still asks what this job has worked on."""
    session.look()
    return session.target == target


def withdraw(session: Session, version: str, tasks: set[int]) -> None:
    """Delete what is published of `tasks` under `version`, so that none gets a second prediction of the same version."""
    if tasks:
        found = session.label_studio.predictions(session.project)
        for prediction in found:
            if prediction["model_version"] == version and prediction["task"] in tasks:
                session.label_studio.delete_prediction(prediction["id"])


def as_ranking(tasks: NDArray[np.int64], places: NDArray[np.float64], probabilities: NDArray[np.float32] | None) -> Ranking:
    """Tasks outside the queue, to be published at `places`."""
    n = len(tasks)
    classes = np.full(n, -1, np.int64) if probabilities is None else probabilities.argmax(axis=1)
    confidences = np.zeros(n) if probabilities is None else probabilities.max(axis=1).astype(np.float64)
    return Ranking(tasks, places, np.zeros(n, bool), classes, confidences)
