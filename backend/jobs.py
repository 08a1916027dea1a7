"""What workers run: fetch, call rounds, publish. Every job can be run again from its start."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rq import get_current_job

from backend.embedding import embed as embed_rows
from backend.embedding import unembedded
from backend.index import UNLABELLED
from backend.labelconfig import LabelConfigError
from backend.labelstudio import LabelStudioError
from backend.projects import Projects, finetune_depth
from backend.publish import Superseded, config_unchanged, delete_predictions, publish, stale_predictions, switch
from backend.queues import Work
from backend.reconcile import recall_published, reconcile_project, top_up
from backend.redisserver import connect_redis
from backend.rounds import rank, train
from backend.session import Progress, Session
from backend.settings import get_settings
from model.versions import fingerprint

log = logging.getLogger(__name__)
FINETUNE_FROM = 100  # labels before which ResNet50 is not retrained by itself
FIRST = 1000  # images a round embeds itself before it publishes; the embed job does the rest
EMBED_SLICE = 30  # seconds of one embed job, so that other projects get their turn
CLEAN_SLICE = 15  # seconds of one clean job


class Job:
    """A job at work on a project: its session, its place in the queues, and its fence."""

    def __init__(self, session: Session, work: Work, kind: str) -> None:
        self.session = session
        self.work = work
        self.kind = kind
        self.fence = ""

    def begin(self, generation: int, fenced: bool = False) -> None:
        """The first act: whatever happens from now on wakes the next job. `fenced` locks out older jobs."""
        self.fence = secrets.token_hex(8) if fenced else ""
        self.work.begin(self.kind, self.session.project, generation, self.fence)
        self.session.reread()  # what changed before the act, which a wake-up from now on does not tell

    def check(self) -> None:
        """Raise Superseded where a later job has begun to write to this project."""
        if not self.work.holds(self.session.project, self.fence):
            raise Superseded(f"Project {self.session.project}: a later job took over")

    def wake(self, kind: str, delay: float = 0) -> None:
        """See that a job of `kind` starts for the same project in at most `delay` seconds."""
        self.work.wake(kind, self.session.project, delay)


@contextmanager
def job(kind: str, project: int) -> Iterator[Job]:
    """Open what a job needs; note its failure in the project's state, for `status`."""
    settings = get_settings()
    projects = Projects(settings.data_dir)
    work = Work(connect_redis(settings), settings.retrain_after)
    final = False  # whether trying again cannot help
    try:
        with Session(settings, project, _progress()) as session:
            try:
                yield Job(session, work, kind)
            except LabelConfigError:
                final = True
                raise
            except LabelStudioError as error:
                final = error.status == 404 and not session.info and session.label_studio.answers()
                if final:
                    with projects.edit(project) as state:
                        state.connected = False
                    message = (
                        f"Project {project} is gone from Label Studio, or its token may not see it: `connect` takes it up."
                    )
                    raise LabelStudioError(message, 404) from error
                raise
    except Superseded as reason:
        log.info("%s", reason)
    except Exception as error:
        with projects.edit(project) as state:
            state.last_error = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {kind}: {error}"
        if not final:
            raise
        log.error("Project %s: %s", project, error)


def _progress() -> Progress:
    """Reports progress into the RQ job's meta, at most twice a second."""
    current = get_current_job()
    last = 0.0

    def report(step: str, done: int, total: int, **more: Any) -> None:
        nonlocal last
        if current and (time.monotonic() - last > 0.5 or current.meta.get("step") != step):
            last = time.monotonic()
            current.meta |= {"step": step, "done": done, "total": total, "macro_f1": None, "seconds_left": None} | more
            current.save_meta()

    return report


def run_round(project: int, generation: int) -> dict[str, Any] | None:
    """One round for `project`: read, embed, fit, measure, write a version, rank, publish, switch. Returns its summary."""
    with job("round", project) as at:
        s = at.session
        at.begin(generation, fenced=True)
        if s.state.paused or not s.state.connected:
            return {"ignored": "the project is paused" if s.state.paused else "the project is not connected"}
        started = time.time()
        s.sync()
        target = s.target
        if s.state.promoting and s.backbones.has(s.state.promoting):
            s.use_backbone(s.state.promoting)
        partial = embed_first(s)
        labelled, pool = s.labelled_and_pool()
        s.progress("training", 0, len(labelled.tasks))
        head, metrics = train(labelled, pool, len(target.classes))
        name = s.write_version(labelled, head, metrics)
        ranking = rank(head, pool, labelled, s.rules(), name)
        try:
            if not config_unchanged(s, target):
                at.wake("round")
                raise Superseded(f"Project {project}: the labelling config changed during the round")
            published = publish(s, name, ranking, at.check)
        except BaseException:
            s.versions.remove(name)  # what was never published must not displace what a rollback may want
            raise
        switch(s, name, at.check)
        with s.edit() as state:
            state.trained = fingerprint(labelled.tasks, labelled.labels, target.as_dict())
            state.partial, state.last_error = partial, ""
        for gone in s.versions.prune(s.settings.keep_versions, [name, s.state.finetuned.get("version", "")]):
            s.index.forget_published(gone)
        s.collect_backbones()
        _finetune_grown(at, len(labelled.tasks))
        at.wake("clean", 5)
        if partial:
            at.wake("embed")
        return {"version": name, "labels": len(labelled.tasks), "published": published, "seconds": time.time() - started}
    return None


def _finetune_grown(at: Job, labels: int) -> None:
    """Let ResNet50 be retrained where the project wants that and labels have grown enough since the last time."""
    s = at.session
    depth = finetune_depth(s.state, s.settings)
    if depth and labels >= max(FINETUNE_FROM, s.settings.finetune_growth * s.state.tuned_labels):
        at.wake(f"finetune_{depth}")
        with s.edit() as state:
            state.tuned_labels = labels


def embed_first(session: Session) -> bool:
    """Embed what a queue cannot wait for: labelled images, and a first part of a pool that has hardly any embeddings.

    Returns whether images are left for the embed job.
    """
    labelled, others = unembedded(session)
    unlabelled = session.index.counts()[UNLABELLED]
    first = others[: FIRST // 2 if labelled else FIRST] if unlabelled - len(others) < session.settings.queue_size else []
    embed_rows(session, [*labelled[: FIRST // 2], *first])
    return len(labelled) > FIRST // 2 or len(others) > len(first)


def reconcile(project: int, generation: int) -> list[str] | None:
    """Compare Label Studio with the live version and mend what differs; arms the next one. Returns what was done."""
    with job("reconcile", project) as at:
        at.begin(generation, fenced=True)
        if not at.session.state.connected:
            return ["the project is not connected"]
        at.wake("reconcile", at.session.settings.reconcile_seconds)
        return reconcile_project(at.session, at.check, at.wake)
    return None


def embed(project: int, generation: int) -> int:
    """Embed what is missing, a slice at a time; then let the new images take their places."""
    with job("embed", project) as at:
        s = at.session
        at.begin(generation)
        if not s.state.connected:
            return 0
        s.sync()
        labelled, others = unembedded(s)
        tried = embed_rows(s, [*labelled, *others], EMBED_SLICE)
        s.store.compact()
        if tried < len(labelled) + len(others):
            at.wake("embed")
        elif s.state.partial:
            at.wake("round", 1)  # much of the pool was not there when the last queue was drawn
        if tried:
            at.wake("reconcile", 1)
        return tried
    return 0


def clean(project: int, generation: int) -> int:
    """Delete the predictions of older versions, singly and paced. Returns how many there were."""
    with job("clean", project) as at:
        at.begin(generation)
        stale = stale_predictions(at.session)
        if not delete_predictions(at.session, stale, CLEAN_SLICE):
            at.wake("clean", 5)
        return len(stale)
    return 0


def roll_back(project: int, version: str) -> dict[str, Any] | None:
    """Let the queue follow an older version again: what is left of its queue, topped up by its head from today's pool.

    Labels that came before it count as seen, so nothing retrains until the next label (or for good while paused).
    """
    with job("rollback", project) as at:
        s = at.session
        at.begin(0, fenced=True)
        s.sync()
        old = s.versions.load(version)
        if not s.fits(old):
            raise LabelConfigError(f"{version} was made for other classes, or its backbone is gone: retrain instead.")
        with s.edit() as state:
            state.returning, state.promoting = version, ""
        s.use_backbone(old.backbone)
        embed_first(s)
        labelled, pool = s.labelled_and_pool()
        recall_published(s, version)
        top_up(s, old, labelled, pool, at.check)
        at.work.settle(project)
        switch(s, version, at.check)
        with s.edit() as state:
            state.trained = fingerprint(labelled.tasks, labelled.labels, s.target.as_dict())
        return {"version": version}
    return None
