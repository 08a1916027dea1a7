"""The job that learns from the labels and publishes the queue that follows from them."""

import time
from contextlib import closing
from typing import Any

from backend.index.consensus import TIE
from backend.index.index import UNLABELLED
from backend.jobs.asked import behind_asked, has_doubtful
from backend.jobs.grouping import keep_groups
from backend.jobs.job import JobAtWork, TryLater, perform
from backend.jobs.publish import Superseded, config_unchanged, publish, switch
from backend.learning.ahead import rank_behind
from backend.learning.foresight import foresee
from backend.learning.rounds import Labelled, train
from backend.project.embedding import unembedded
from backend.project.migration import taken_unjudged
from backend.project.share import Share, embed_or_wait
from backend.queue.redis_server import connect_redis
from backend.queue.writing import wait_until_written
from backend.records.doubts import forget_found
from backend.records.map import has_map
from backend.records.state import ProjectState, finetune_depth
from backend.settings import get_settings
from model.networks import network
from model.version_store import VersionError, fingerprint

FINETUNE_FROM = 100  # labels before which ResNet50 is not retrained by itself
PLENTY = 200  # embedded images of the pool from which a first queue can be drawn
FIRST, FIRST_SECONDS = 1000, 15.0  # that a round gives to images itself before it publishes; the embed job does the rest
PATIENCE = 60  # times that a round waits for images of labels, half an hour in all


def run_round(project: int, generation: int) -> Any:
    """One round for `project`: read, embed, fit, measure, rank, publish, write a version, switch. Returns its summary.

    A version is on disk only once its queue is published whole, so a round that fails or is killed leaves none. It begins once
    a group of labels that is on its way to Label Studio is there whole.
    """
    with closing(connect_redis(get_settings())) as redis:
        wait_until_written(redis, project)
    return perform("round", project, generation, _round, fenced=True)


def _round(at: JobAtWork) -> dict[str, Any]:
    s = at.session
    if s.state.paused or not s.state.connected:
        return {"ignored": "the project is paused" if s.state.paused else "the project is not connected"}
    started = time.time()
    whole = s.sync(first=PLENTY)
    target = s.target
    if s.state.promoting and s.backbones.has(s.state.promoting):
        s.use_backbone(s.state.promoting)
    unjudged = taken_unjudged(s)
    partial = embed_first(at) or not whole
    s.weigh(again=True)
    labelled, pool = s.labelled_and_pool()
    _keep_labels(at, labelled)
    s.progress("training", 0, len(labelled.tasks))
    head, metrics = train(labelled, pool, len(target.classes))
    metrics |= {"acceptable": foresee(head, pool)}
    name = s.new_version_name()
    first = s.first()
    ranking, trouble = rank_behind(head, pool, labelled, s.rules(), name, first)
    if not config_unchanged(s, target):
        at.wake("round")
        raise Superseded(f"Project {s.project}: the labelling config changed during the round")
    published = publish(s, name, behind_asked(s, ranking), at.check)
    s.write_version(name, labelled, head, metrics)
    switch(s, name, at.check)
    with s.edit() as state:
        state.trained = fingerprint(labelled.tasks, labelled.labels, target.as_dict())
        state.partial = partial
        state.migration = unjudged or state.migration
        note_strategy(state, trouble)
    if whole:
        keep_groups(s, name, head, labelled, pool.only(pool.to_pick), ranking, first.tasks)
    for gone in s.versions.prune(s.settings.keep_versions, [name, s.state.finetuned.get("version", "")]):
        s.index.published.forget(gone)
        s.groups.forget(gone)
        forget_found(s.documents, gone)
    s.collect_backbones()
    _finetune_grown(at, len(labelled.tasks))
    at.wake("clean", 5)
    if has_map(s.documents):
        at.wake("map", 5)  # it shows what the new version guesses
    at.wake("doubts", 1)
    if s.index.troubled(TIE) or has_doubtful(s):
        at.wake("reconcile", 1)  # which asks one person more
    if partial:
        at.wake("embed")
    summary = {"version": name, "labels": len(labelled.tasks), "published": published, "seconds": time.time() - started}
    return summary if whole else summary | {"read": s.index.count()}


def note_strategy(state: ProjectState, trouble: str) -> None:
    """Let `status` tell why picks are random; "" where they are not."""
    state.errors.pop("strategy", None)
    if trouble:
        state.errors["strategy"] = f"{time.strftime('%Y-%m-%d %H:%M:%S')} strategy: {trouble}. Picks are random meanwhile"


def _keep_labels(at: JobAtWork, labelled: Labelled) -> None:
    """Raise TryLater where labels that the live version has learned from would be missing from the next one, only because
    their images are out of reach for the moment. After PATIENCE such waits they cost themselves alone."""
    s = at.session
    try:
        live = s.versions.load(s.state.live)
    except VersionError:
        return
    if live.target != s.target.as_dict():
        return
    missing = set(live.tasks.tolist()) - set(labelled.tasks.tolist())
    if not missing:
        return
    awaited = s.index.awaited()
    lost = [task for task in s.index.tasks.labels() if task in missing & awaited]
    lost += [task for task in unembedded(s)[0] if task in missing - awaited]  # more than one round embeds
    if lost and at.put_off < PATIENCE:
        at.wake("embed")
        raise TryLater(
            f"the images of {len(lost)} labels that {live.name} has learned from are not there for the moment "
            f"(task {', '.join(map(str, lost[:3]))}{' ...' if len(lost) > 3 else ''}); {live.name} stays until they are"
        )


def _finetune_grown(at: JobAtWork, labels: int) -> None:
    """Let ResNet50 be retrained where the project wants that and labels have grown enough since the last time."""
    s = at.session
    depth = finetune_depth(s.state, s.settings)
    tunable = network(s.backbones.wanted.network).tunable and not s.target.SEVERAL
    if depth and tunable and labels >= max(FINETUNE_FROM, s.settings.finetune_growth * s.state.tuned_labels):
        at.wake(f"finetune_{depth}")
        with s.edit() as state:
            state.tuned_labels = labels


def embed_first(at: JobAtWork) -> bool:
    """Embed what a queue cannot wait for, beside jobs that embed: labelled images, and a first part of a pool that has hardly
    any embeddings, which is PLENTY images and as many more as FIRST_SECONDS allow.

    Returns whether images are left for the embed job.
    """
    s, claims = at.session, at.claims()
    before = claims.done()
    labelled, others = unembedded(s)
    if not labelled and not others:
        return False
    unlabelled = s.index.counts()[UNLABELLED]
    first = others[: FIRST // 2 if labelled else FIRST] if unlabelled - len(others) < PLENTY else []
    deadline = time.monotonic() + FIRST_SECONDS
    try:
        embed_or_wait(s, claims, [*labelled[: FIRST // 2], *first[:PLENTY]], before)
        share = Share(s, claims, first[PLENTY:], lambda: None)
        share.embed(before, deadline - time.monotonic(), lambda: False)
    finally:
        claims.end()
    left = any(unembedded(s))
    if not left:
        claims.finish()
    return left
