"""The job that learns from the labels and publishes the queue that follows from them."""

import time
from typing import Any

from backend.jobs.job import Job, job
from backend.jobs.publish import Superseded, config_unchanged, publish, switch
from backend.learning.rounds import rank, train
from backend.project.embedding import embed as embed_rows
from backend.project.embedding import unembedded
from backend.project.index import UNLABELLED
from backend.project.session import Session
from backend.project.state import finetune_depth
from model.version_store import fingerprint

FINETUNE_FROM = 100  # labels before which ResNet50 is not retrained by itself
FIRST = 1000  # images a round embeds itself before it publishes; the embed job does the rest


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
