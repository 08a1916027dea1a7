"""What makes Label Studio serve tasks in the order of the queue: sampling, the version that it follows, and its predictions."""

from collections import Counter
from functools import partial
from typing import Any

from backend.connection.differences import SAMPLING
from backend.doctor.case import Patient
from backend.doctor.finding import Finding, ok, warning, wrong
from backend.labelstudio.wiring import TITLE
from backend.learning.places import LAST
from backend.records.kept import versions_of


def sampling(patient: Patient) -> Finding:
    """Tasks are served by the scores of predictions."""
    found = patient.info["sampling"]
    if found != SAMPLING:
        fix = partial(patient.label_studio.patch_project, patient.number, sampling=SAMPLING)
        return wrong(f"it is {found!r}: tasks are not served in the order of the queue", patient.fixing, fix)
    several = patient.info.get("maximum_annotations") or 1
    also = f"; with {several} annotations a task, half-answered ones come first" if several > 1 else ""
    return ok(f"{SAMPLING}{also}")


def model_version(patient: Patient) -> Finding:
    """Label Studio follows the live version, which is on disk, and not the ML backend's title."""
    named, state = patient.info["model_version"], patient.state
    versions = versions_of(patient.house.projects, patient.number).names()
    if state.live not in versions:
        return wrong(f"{state.live} is not on disk any more", f"`al-backend retrain --project {patient.number}` makes another")
    if named == state.live:
        return ok(f"{named}, {len(versions)} on disk")
    if named in versions and named != state.followed:
        return warning(f"Label Studio follows {named}, chosen there by hand", patient.fixing, patient.reconcile)
    what = "the ML backend's title" if named == TITLE else repr(named) if named else "no version"
    return wrong(f"Label Studio follows {what}, not {state.live}: tasks come at random", patient.fixing, patient.reconcile)


def predictions(patient: Patient) -> Finding:
    """Label Studio holds what was published, once, and each with a score that is a place."""
    live, stored, published = patient.state.live, patient.stored, patient.published
    if not stored and published:
        return wrong(
            f"Label Studio holds none of the {len(published)} predictions of {live}: tasks come at random",
            patient.fixing,
            patient.reconcile,
        )
    misplaced = [row for row in stored if not _is_place(row["score"])]
    if misplaced:
        none = sum(row["score"] is None for row in misplaced)
        what = "without a score, which are" if none else "with a score outside 0 to 1, which may be"
        return wrong(
            f"{len(misplaced)} predictions of {live} are {what} served first",
            patient.fixing,
            partial(_put_in_place, patient, misplaced),
        )
    twice = sum(count > 1 for count in Counter(row["task"] for row in stored).values())
    if twice or (published and len(stored) != len(published)):
        more = f", {twice} tasks have two" if twice else ""
        seen = f"Label Studio holds {len(stored)} predictions of {live}, {len(published)} were published{more}"
        return warning(seen, patient.fixing, patient.reconcile)
    return ok(f"{len(stored)} of {live}, each with its place")


def _is_place(score: Any) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= LAST


def _put_in_place(patient: Patient, misplaced: list[dict[str, Any]]) -> None:
    """Give predictions the scores with which they were published, the last place where nobody knows."""
    for row in misplaced:
        patient.label_studio.set_score(row["id"], patient.published.get(row["task"], LAST))
