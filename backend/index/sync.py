"""Bringing a project's index up to what Label Studio holds now: changes where that is enough, else every task."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from backend.index.exchange import TARGET
from backend.index.index import Index
from backend.index.moments import SYNCED_TO, moment_of, newest_change
from backend.index.problems import TASK
from backend.index.recount import recount
from backend.labelstudio.client import OVERLAP, LabelStudio, LabelStudioError
from backend.labelstudio.installation import ask_installation
from backend.labelstudio.labelling_config import Target

log = logging.getLogger(__name__)
SETTLED = "settled"  # the same, once no slow transaction can still add to what was read
CLOCK_SECONDS = 10.0  # that Label Studio has to say what time it is


def sync_index(
    index: Index,
    label_studio: LabelStudio,
    project: int,
    target: Target,
    task_number: int,
    progress: Callable[..., None],
) -> None:
    """Take into `index` what has changed in `project` since the last time; every task where `target` has changed.

    task_number: how many tasks Label Studio says there are. Raises LabelStudioError, IndexUnavailable.
    """
    while not _read_changes(index, label_studio, project, target, task_number, progress):
        log.info("Project %s: the index of another machine was taken in meanwhile: what changed since is read", project)
    if index.count() != task_number:
        recount(index, label_studio, project, target)
    for problem in index.problems():
        log.warning("Project %s: %s", project, problem)


def _read_changes(
    index: Index, label_studio: LabelStudio, project: int, target: Target, task_number: int, progress: Callable[..., None]
) -> bool:
    """Take in what has changed; returns whether that is all. Not where another process has taken in what another machine has
    read, which may have come over what is new here.

    How far it got counts only once the last page is in. What changes meanwhile may be on a page that was read before, so that
    it got no further than to its own beginning.
    """
    taken = index.exchange.taken()
    follow_target(index, target)
    if unlistable := index.troubled(TASK, due=True):  # whether Label Studio can list them now
        still: dict[int, str] = {}
        index.update(label_studio.tasks_named(project, unlistable, still), target)
        index.set_unlistable(still)
    since = newest_change([], index.note(SYNCED_TO))
    began, done, newest = _clock(label_studio), 0, since
    overlap = timedelta(0) if since and since == index.note(SETTLED) else OVERLAP
    lost: dict[int, str] = {}
    for page in label_studio.tasks(project, since, lost, overlap):
        index.update(page, target)
        newest = newest_change(page, newest)
        done += len(page)
        progress("reading tasks", done, max(done, 0 if since else task_number))
    index.set_unlistable(lost)
    last = moment_of(newest)
    if last and began and last > began:
        last, newest = began, began.isoformat()
    settled = newest if last and began and began - last > OVERLAP else ""
    return index.set_notes({SYNCED_TO: newest, SETTLED: settled}, taken)


def _clock(label_studio: LabelStudio) -> datetime | None:
    """What time it is for Label Studio, by the earlier of its clock and ours; None where it does not say."""
    try:
        moment = ask_installation(label_studio.url, CLOCK_SECONDS).moment
    except LabelStudioError:
        return None
    return min(moment, datetime.now(UTC)) if moment else None


def follow_target(index: Index, target: Target) -> None:
    """Forget what `index` knows where that is about another target."""
    stamp = json.dumps(target.as_dict())
    if index.note(TARGET) != stamp:
        index.clear()
        index.set_note(TARGET, stamp)
