"""Comparing what Label Studio holds with what the live version was made from, and mending the difference.

Webhooks are hints: lost ones, bulk imports, deletions, skips and a model_version reset by hand all heal here.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from backend.connection.differences import setting_differences, wiring_differences
from backend.index.index import ACCEPTED, SKIPPED, UNLABELLED
from backend.jobs.ahead import let_labelled_go, move_ahead
from backend.jobs.asked import ask_about_doubts, ask_about_ties, serve_asked
from backend.jobs.describe import describe
from backend.jobs.job import JobAtWork, perform
from backend.jobs.publish import as_ranking, publish_more, stored_predictions, switch
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.wiring import Wiring
from backend.learning.audit import audited
from backend.learning.places import LAST
from backend.learning.rounds import Labelled, Pool, place_outside_queue
from backend.project.embedding import unembedded
from backend.project.migration import keep_instead, settle, way_to_go
from backend.project.refill import next_images
from backend.project.session import Session
from backend.status.accepting import audit_text, audit_values
from model.embeddings.stored_embeddings import part_of
from model.version_store import Version, VersionError, fingerprint

log = logging.getLogger(__name__)
Check = Callable[[], None]
Wake = Callable[..., None]


def reconcile(project: int, generation: int) -> Any:
    """Compare Label Studio with the live version and mend what differs; arms the next one. Returns what was done."""
    return perform("reconcile", project, generation, _reconcile, fenced=True)


def _reconcile(at: JobAtWork) -> list[str]:
    if not at.session.state.connected:
        return ["the project is not connected"]
    at.wake("reconcile", at.session.settings.reconcile_seconds)
    return reconcile_project(at.session, at.check, at.wake)


def reconcile_project(session: Session, check: Check, wake: Wake) -> list[str]:
    """Mend what differs; returns a line for each thing done. A paused project keeps its version, and a full queue."""
    session.sync()
    done: list[str] = []
    try:
        live = session.versions.load(session.state.live) if session.state.live else None
    except VersionError as error:
        log.warning("%s", error)
        live = None
    if live is None or not session.fits(live):
        if not session.state.paused:
            wake("round")
        return ["there is no version for this labelling config and backbone yet"]
    labelled, pool = session.labelled_and_pool()
    if not session.state.paused and fingerprint(labelled.tasks, labelled.labels, live.target) != session.state.trained:
        wake("round", session.settings.quiet_seconds)
        done.append("a round: labels changed")
    if session.state.promoting and not session.state.paused and session.backbones.has(session.state.promoting):
        wake("round")
        done.append("a round: another backbone waits for it")
    settle(session)
    if not session.state.paused and (way := way_to_go(session)):
        wake("migrate")
        done.append(f"embedding with {way.wanted} beside")
    if any(unembedded(session)):
        wake("embed")
        done.append("embedding new images")
    for kind in sorted(session.state.errors.keys() & {"embed", "clean", "doubts"}):  # nothing else may wake them for long
        wake(kind)
        done.append(f"the {kind} job again, which failed")
    done += _compare_stored(session, live.name)
    for version in {live.name, session.state.followed} - {""}:  # an empty queue is not followed: the one before still is
        done += _move_back(session, version, pool.is_done, check)
    if not session.state.paused and (asked := ask_about_ties(session, check)):
        done.append(f"asked one person more about {asked} ties")
    if not session.state.paused and (asked := ask_about_doubts(session, check)):
        done.append(f"asked somebody else about {asked} labels that are likely wrong")
    if served := serve_asked(session, live.name, check):
        done.append(f"put {served} tasks that one person more is asked about before the queue")
    let_labelled_go(session)
    if moved := move_ahead(session, live, labelled, pool, check, wake):
        done.append(f"moved {moved} tasks to the head of the queue, where people sent them")
    if added := top_up(session, live, labelled, pool, check):
        done.append(f"refilled the queue with {added} tasks")
    done += _score_new_tasks(session, live, pool, check)
    done += _assert_version(session, check, wake)
    for line in done:
        log.info("Project %s: %s", session.project, line)
    describe(session)
    _tell_differences(session)
    _tell_audits(session)
    return done


def _compare_stored(session: Session, version: str) -> list[str]:
    """Bring our record of what is published under `version` up to what Label Studio stores. People delete predictions and
    retrieve others, and the answer to an import may be lost."""
    recorded = len(session.index.published.scores(version))
    stored = session.label_studio.prediction_counts(session.project).get(version, 0)
    if recorded == stored:
        return []
    doubles = recall_published(session, version)
    also = f", {doubles} of them beside another of the same task: deleted" if doubles else ""
    return [f"Label Studio held {stored} predictions of {version} where {recorded} were recorded{also}"]


def _tell_differences(session: Session) -> None:
    """Log what people have changed by hand and only `connect` puts right, each time that it changes."""
    wiring = Wiring(
        session.label_studio, session.project, session.settings.backend_url, session.settings.credentials, session.state.made
    )
    try:
        texts = [
            difference.text
            for difference in setting_differences(session.info, session.target.may_be_empty) + wiring_differences(wiring)
        ]
    except LabelStudioError as error:
        log.info("Project %s: ML backends and webhooks could not be compared: %s", session.project, error)
        return
    told = "\n".join(texts)
    if told != session.index.note("differences"):
        session.index.set_note("differences", told)
        for text in texts:
            log.warning("Project %s: %s", session.project, text)


def _tell_audits(session: Session) -> None:
    """Log that people's answers contradict what was promised of accepted labels, each time that they say something new."""
    told = audit_text(session.project, audit_values(session.index))
    if told != session.index.note("audits"):
        session.index.set_note("audits", told)
        if told:
            log.warning("Project %s: %s", session.project, told)


def recall_published(session: Session, version: str) -> int:
    """Learn from Label Studio what is published under `version`. Of several predictions of one task, the one it serves by
    stays; the others are deleted. Returns how many those were."""
    stored = stored_predictions(session, version)
    doubles = [prediction["id"] for predictions in stored.values() for prediction in predictions[1:]]
    for number in doubles:
        session.label_studio.delete_prediction(number)
    tasks = np.array(list(stored), np.int64)
    scores = [predictions[0]["score"] for predictions in stored.values()]
    places = np.array([LAST if score is None else score for score in scores], np.float64)
    session.index.published.forget(version)
    silent = np.array([not predictions[0]["result"] for predictions in stored.values()], bool)
    slots = silent & (places < 0.5) & (not silent.all())  # random slots carry no pre-annotation; without a head nothing does
    session.index.published.add(version, tasks, places, slots)
    return len(doubles)


def _assert_version(session: Session, check: Check, wake: Wake) -> list[str]:
    """Label Studio must follow a version of ours. Another of ours, chosen by hand, is followed; anything else is undone."""
    live, named = session.state.live, session.info["model_version"]
    if named == live or not session.index.published.scores(live):
        return []
    by_hand = named != session.state.followed and named in session.versions.names()
    if by_hand and named in session.label_studio.prediction_counts(session.project):
        with session.edit() as state:
            state.chosen_by_hand(named)
        keep_instead(session, named)
        wake("reconcile", 1)
        return [f"following {named}, chosen in Label Studio"]
    switch(session, live, check)
    return [f"model_version was {named!r}: set to {live} again"]


def _move_back(session: Session, version: str, done: bool, check: Check) -> list[str]:
    """A skipped task goes behind everything else in the queue of `version`, instead of straight to the next annotator. So does
    an accepted one, but for an audit in a random slot while others are not `done`."""
    tasks, slots = session.index.tasks, np.array(list(session.index.published.slots(version)), np.int64)
    audits: set[int] = set() if done else set(slots[audited(slots)].tolist())
    stay = audits & tasks.published(version, ACCEPTED).keys()
    behind = tasks.published(version, SKIPPED, ACCEPTED)
    moved = []
    for task in sorted(task for task, place in behind.items() if place < LAST and task not in stay):
        check()
        try:
            for prediction in session.label_studio.task_predictions(task):
                if prediction["model_version"] == version:
                    session.label_studio.set_score(prediction["id"], LAST)
        except LabelStudioError as error:
            if not 400 <= error.status < 500:
                raise
            log.warning("Project %s: task %s keeps its place: %s", session.project, task, error)
        else:
            moved.append(task)
    session.index.published.add(version, np.array(moved, np.int64), np.full(len(moved), LAST), np.zeros(len(moved), bool))
    return [f"moved {len(moved)} skipped or accepted tasks back"] if moved else []


def _score_new_tasks(session: Session, live: Version, pool: Pool, check: Check) -> list[str]:
    """Tasks imported since the live version was ranked get a place behind its queue, up to a queue's worth that are open."""
    published = session.index.published.scores(live.name)
    still_open = session.index.tasks.published(live.name, UNLABELLED)
    room = session.settings.queue_size - sum(place >= 0.5 for place in still_open.values())
    new = (pool.tasks > live.newest_task) & ~np.isin(pool.tasks, list(published))
    if not new.any() or room <= 0:
        return []
    tasks, embeddings = pool.tasks[new], part_of(pool.embeddings, new)
    places, probabilities = place_outside_queue(live.head, tasks, embeddings, live.strategy, live.name)
    first = np.argsort(places, kind="stable")[:room]
    chosen = as_ranking(tasks[first], places[first], None if probabilities is None else probabilities[first])
    return [f"scored {publish_more(session, live.name, chosen, check)} new tasks"]


def top_up(session: Session, version: Version, labelled: Labelled, pool: Pool, check: Check) -> int:
    """Once half the queue of `version` is used, publish the next images behind what is left of it, under the same name.

    Returns how many were added.
    """
    ranking = next_images(session.index, session.first().tasks, version, labelled, pool, session.rules())
    return publish_more(session, version.name, ranking, check) if len(ranking.tasks) else 0
