"""The job that embeds the images which no round could wait for, a slice at a time."""

from typing import Any

from backend.jobs.job import JobAtWork, perform
from backend.project.embedding import embed as embed_rows
from backend.project.embedding import unembedded
from backend.project.map import has_map

MAP_LATER = 60  # seconds until new images are on the map: more of them may come
EMBED_SLICE = 30  # seconds of one embed job, so that other projects get their turn


def embed(project: int, generation: int) -> Any:
    """Embed what is missing, a slice at a time; then let the new images take their places. Returns how many were tried."""
    return perform("embed", project, generation, _embed)


def _embed(at: JobAtWork) -> int:
    s = at.session
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
    elif tried and has_map(s.projects.folder(s.project)):
        at.wake("map", MAP_LATER)
    if tried:
        at.wake("reconcile", 1)
    return tried
