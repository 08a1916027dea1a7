"""The job that comes after a switch: it describes the new version in Label Studio, and deletes the predictions of older ones,
slowly enough that no annotator waits for it."""

import time
from collections import Counter
from itertools import pairwise
from typing import Any

from backend.jobs.describe import describe
from backend.jobs.job import JobAtWork, perform
from backend.learning.places import LAST
from backend.project.session import Session
from model.version_store import NAME, NO_VERSION

CLEAN_SLICE = 15  # seconds of one clean job
HELD_SECONDS = 3600  # after a switch, in which somebody may still submit an image that they opened before it
HEAD = 20  # images of a queue, the first that are open, of which one may be open in somebody's editor


def clean(project: int, generation: int) -> Any:
    """Delete the predictions of older versions, singly and paced. Returns how many there were."""
    return perform("clean", project, generation, _clean)


def _clean(at: JobAtWork) -> int:
    describe(at.session)
    every = stale_predictions(at.session)
    held = perhaps_open(at.session, every)
    if held:
        at.wake("clean", HELD_SECONDS)
    stale = [prediction for prediction in every if prediction["id"] not in held]
    if not delete_predictions(at.session, stale, CLEAN_SLICE):
        at.wake("clean")
    return len(stale)


def stale_predictions(session: Session) -> list[dict[str, Any]]:
    """Predictions of our versions older than the live one, and those made before the first, last places first.

    Newer ones may belong to a round about to switch. Those of the version that Label Studio really follows, or that a rollback
    returns to, are spared; so are those of another DATA_DIR's plugin on the same project.
    """
    state = session.projects.read(session.project)
    live = NAME.fullmatch(state.live)
    if not live:
        return []
    spared = (state.returning, session.look()["model_version"])

    def is_stale(version: str) -> bool:
        match = NAME.fullmatch(version)
        older = match is not None and session.versions.owns(version) and int(match[1]) < int(live[1])
        return (older or version == NO_VERSION) and version not in spared

    versions = [version for version in session.label_studio.prediction_counts(session.project) if is_stale(version)]
    stale = session.label_studio.predictions(session.project, *versions)
    return sorted(stale, key=lambda p: (p["model_version"], LAST if p["score"] is None else p["score"]), reverse=True)


def perhaps_open(session: Session, stale: list[dict[str, Any]]) -> set[int]:
    """Ids of those `stale` predictions that an editor may have copied into an answer which is not submitted yet: Label Studio
    refuses a Submit that names a prediction which is gone ("Invalid pk"), and the label would be lost.

    These are the open tasks that stand first under a version which was replaced less than HELD_SECONDS ago.
    """
    entries = session.learned.history.entries()
    replaced = {entry.name: after.created for entry, after in pairwise(entries)}
    since = time.time() - HELD_SECONDS
    open_tasks = set(session.index.tasks.pool()[0].tolist())
    held: set[int] = set()
    counts: Counter[str] = Counter()
    for prediction in reversed(stale):  # first places first
        version = prediction["model_version"]
        if prediction["task"] in open_tasks and replaced.get(version, 0.0) > since and counts[version] < HEAD:
            held.add(prediction["id"])
            counts[version] += 1
    return held


def delete_predictions(session: Session, predictions: list[dict[str, Any]], seconds: float) -> bool:
    """Delete predictions one by one, resting as long as each took: bulk deletion would block annotators for seconds.

    Returns whether all were deleted; stops after `seconds`, and where a rollback returns to one of their versions.
    """
    deadline = time.monotonic() + seconds
    for done, prediction in enumerate(predictions, 1):
        state = session.projects.read(session.project)
        if time.monotonic() > deadline or prediction["model_version"] in (state.live, state.returning):
            return False
        started = time.monotonic()
        session.label_studio.delete_prediction(prediction["id"])
        session.progress("deleting old predictions", done, len(predictions))
        time.sleep(time.monotonic() - started)
    return True
