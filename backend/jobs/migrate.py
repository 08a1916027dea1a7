"""The job that brings a project to another base backbone: another network, other weights, or what an upgrade of this software
does otherwise with its images.

All images are embedded beside, a slice at a time, while rounds, queue and /predict go on with the live backbone; workers that
have nothing else to embed take part. A killed job goes on where it was: embeddings are there already. Then the base is taken at
once where network and weights are the same, and else where it is better on random slots, or where somebody said so. The
round that follows publishes with it.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rq import get_current_job

from backend.index.index import AWAITED_SECONDS, RETRY_SECONDS, UNUSABLE
from backend.jobs.job import JobAtWork, perform
from backend.jobs.judging import ConfigChanged, judge
from backend.jobs.publish import Superseded
from backend.project.migration import Outcome, Way, about, settle, way_to_go
from backend.project.session import Session
from backend.project.share import lead
from backend.queue.giving_way import GivesWay
from backend.records.outcome import describe_migration

log = logging.getLogger(__name__)
SLICE = 60  # seconds of one job, so that new images and other projects get their turn
BEARABLE = 0.05  # share of the images that may have an embedding by the live backbone alone, because nobody can read them now


def migrate(project: int, generation: int) -> Any:
    """Go a part of the way to the wanted base, or decide at its end. Returns how far it is, or what came of it."""
    return perform("migrate", project, generation, _migrate)


def _migrate(at: JobAtWork) -> dict[str, Any]:
    s = at.session
    if s.state.paused or not s.state.connected:
        return {"ignored": "the project is paused" if s.state.paused else "the project is not connected"}
    s.sync()
    way = way_to_go(s)
    if not way:
        settle(s)
        return {"ignored": "the project has the backbone that it is to have"}
    wait = _embed_slice(at, way)
    if wait is not None:
        at.wake("migrate", wait)
        return s.state.migration
    try:
        outcome = _decide(s, way)
    except ConfigChanged as reason:
        return {"ignored": str(reason)}  # the next reconcile takes it up again
    _finish(at, way, outcome)
    log.info("Project %s: %s", s.project, describe_migration(s.state.migration, s.project))
    return s.state.migration


def _embed_slice(at: JobAtWork, way: Way) -> int | None:
    """Embed images with the wanted base for some time. Returns the seconds after which to go on, None where all are there."""
    s, before = at.session, at.session.state.migration
    s.use_backbone(way.wanted)
    gives_way = GivesWay(at.work.redis, get_current_job())
    wait, lost = lead(s, at.claims(), SLICE, lambda: at.wake("embed"), gives_way), 0
    tasks, keys = _tasks_and_keys(s)
    there = s.store.has(keys)
    if wait is None:
        if np.isin(tasks[~there], list(s.index.awaited())).any():
            wait = AWAITED_SECONDS
        elif not s.state.forced and (lost_now := _lost(s, way)) > BEARABLE * len(tasks):
            wait, lost = RETRY_SECONDS, lost_now
    told = about(s) | {"upgrade": way.upgrade, "done": int(there.sum()), "total": len(tasks), "lost": lost}
    with s.edit() as state:
        if state.migration == before:  # else a rollback has refused the base meanwhile, and that is to stay
            state.migration = told
    return wait


def _decide(s: Session, way: Way) -> Outcome:
    """Whether rounds are to use the wanted base, all whose embeddings are there. Raises ConfigChanged."""
    outcome = about(s) | {"forced": s.state.forced, "upgrade": way.upgrade}
    if way.upgrade or not outcome["labels"]:
        return Outcome(**outcome, promoted=True)
    found = judge(s, way.wanted).found
    return Outcome(**outcome, **found.as_dict(), promoted=s.state.forced or found.promoted)


def _lost(s: Session, way: Way) -> int:
    """Images that have an embedding by the live backbone, and none by the wanted one."""
    _, keys = _tasks_and_keys(s)
    return int((s.backbones.embeddings(way.live).has(keys) & ~s.store.has(keys)).sum())


def _tasks_and_keys(s: Session) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tasks whose images are embedded, and the keys of these, int64 (n,) each."""
    every = s.index.tasks.arrays()
    usable = ~every.are(UNUSABLE)
    return every.tasks[usable], every.keys[usable]


def _finish(at: JobAtWork, way: Way, outcome: Outcome) -> None:
    """The decision and what follows from it, in one act, and the round that acts on it. Raises Superseded where another base is
    wanted by now, or another backbone is to be used."""
    s = at.session
    s.reread()
    if way_to_go(s) != way:
        at.wake("migrate")
        raise Superseded(f"Project {s.project}: another backbone than {way.wanted} is wanted meanwhile")
    with s.edit() as state:
        state.migration, state.forced = outcome.as_dict(), False
        if outcome.promoted:
            state.migrated(way.wanted)
    if outcome.promoted:
        at.wake("round")
