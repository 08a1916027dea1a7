"""The job that embeds the images which no round could wait for, a slice at a time, beside others of its kind.

Each job claims images as it goes. As soon as it has some and leaves others, it wakes the next job, which a free worker takes:
so as many embed as there are workers, and projects take turns in the queue. Whoever is last sees what there is to do next.

Where another job embeds the whole project with another backbone, it leads, and these take part once they have done their own.
"""

import os
from typing import Any

from rq import get_current_job

from backend.index.moments import SYNCED_TO
from backend.jobs.job import JobAtWork, perform
from backend.project.embedding import unembedded
from backend.project.migration import way_to_go
from backend.project.share import Share, embed_share
from backend.project.shared_index import take_in
from backend.queue.claims import Claims, shared_backbone
from backend.queue.giving_way import GivesWay
from backend.queue.work import GIVES_WAY
from backend.records.map import has_map

MAP_LATER = 60  # seconds until new images are on the map: more of them may come
EMBED_SLICE = 30  # seconds of one embed job, so that other projects get their turn
READ_BY = 5  # seconds until a job looks again whether another has read all tasks
READING, COMPACTING = "reading", "compacting"  # claimed by who reads all tasks, and who merges shards


def embed(project: int, generation: int) -> Any:
    """Embed what is missing, a slice at a time; then let the new images take their places. Returns how many were tried."""
    return perform("embed", project, generation, _embed)


def _embed(at: JobAtWork) -> int:
    s = at.session
    if not s.state.connected:
        return 0
    claims = at.claims()
    try:
        if not s.index.note(SYNCED_TO):
            if not claims.claim([READING], 1)[1]:
                at.wake("embed", READ_BY)  # another job reads all tasks, which may take minutes: not twice
                return 0
            take_in(s.shared)  # it may have ended on another machine meanwhile
        s.sync()
        claims.release([READING])
        before = claims.done()
        labelled, others = unembedded(s)
        share = Share(s, claims, [*labelled, *others], lambda: at.wake("embed"))
        tried = share.embed(before, EMBED_SLICE, GivesWay(at.work.redis, get_current_job()))
        if claims.claim([COMPACTING], 1)[1]:
            s.store.compact()
    finally:
        others_at_work = claims.end()
    if share.rest or (share.passed_over and not others_at_work and any(unembedded(s))):  # those who had them are gone
        at.wake("embed")
    elif not others_at_work:
        _finish(at, claims, tried)
        return tried + _take_part(at)
    if tried:
        at.wake("reconcile", EMBED_SLICE)  # once in a slice, however many embed
    return tried


def _take_part(at: JobAtWork) -> int:
    """Embed, for a slice, with a backbone that is to be used later, beside the job that leads. Returns how many were tried."""
    s, backbone = at.session, shared_backbone(at.work.redis, at.session.project)
    if not backbone or s.state.paused or not s.backbones.has(backbone):
        return 0
    if backbone == s.backbones.wanted_name and not way_to_go(s):
        return 0  # it was given up meanwhile
    os.nice(GIVES_WAY)
    s.use_backbone(backbone)
    gives_way = GivesWay(at.work.redis, get_current_job())
    share, _ = embed_share(s, at.claims(), EMBED_SLICE, lambda: at.wake("embed"), gives_way)
    if share.rest:
        at.wake("embed")
    return share.tried


def _finish(at: JobAtWork, claims: Claims, tried: int) -> None:
    """No image is left, and nobody else is at one: see that the new ones are taken up."""
    s = at.session
    claims.finish()
    if s.state.partial:
        at.wake("round", 1)  # much of the pool was not there when the last queue was drawn
    elif tried and has_map(s.documents):
        at.wake("map", MAP_LATER)
    if tried:
        at.wake("reconcile", 1)
