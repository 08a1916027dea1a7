"""The job that comes after a switch: it describes the new version in Label Studio, and deletes the predictions of older ones,
slowly enough that no annotator waits for it."""

import time
from typing import Any

from backend.jobs.describe import describe
from backend.jobs.job import JobAtWork, perform
from backend.learning.places import LAST
from backend.project.session import Session
from model.version_store import NAME, NO_VERSION

CLEAN_SLICE = 15  # seconds of one clean job


def clean(project: int, generation: int) -> Any:
    """Delete the predictions of older versions, singly and paced. Returns how many there were."""
    return perform("clean", project, generation, _clean)


def _clean(at: JobAtWork) -> int:
    describe(at.session)
    stale = stale_predictions(at.session)
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

    stale = [p for p in session.label_studio.predictions(session.project) if is_stale(p["model_version"] or "")]
    return sorted(stale, key=lambda p: (p["model_version"], LAST if p["score"] is None else p["score"]), reverse=True)


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
