"""The job that lets the queue follow an older version again."""

from typing import Any

from backend.jobs.ahead import move_ahead
from backend.jobs.asked import serve_asked
from backend.jobs.job import JobAtWork, perform
from backend.jobs.publish import switch
from backend.jobs.reconcile import recall_published, top_up
from backend.jobs.round import embed_first
from backend.labelstudio.labelling_config import LabelConfigError
from backend.project.migration import keep_instead
from model.version_store import fingerprint


def roll_back(project: int, version: str) -> Any:
    """Let the queue follow an older version again: what is left of its queue, topped up by its head from today's pool.

    Labels that came before it count as seen, so nothing retrains until the next label (or for good while paused).
    """
    return perform("rollback", project, 0, lambda at: _roll_back(at, version), fenced=True)


def _roll_back(at: JobAtWork, version: str) -> dict[str, Any]:
    s = at.session
    s.sync()
    old = s.versions.load(version)
    if not s.fits(old):
        raise LabelConfigError(f"{version} was made for other classes, or its backbone is gone: retrain instead.")
    with s.edit() as state:
        state.roll_back_to(version)
    s.use_backbone(old.backbone)
    embed_first(at)
    labelled, pool = s.labelled_and_pool()
    recall_published(s, version)
    top_up(s, old, labelled, pool, at.check)
    move_ahead(s, old, labelled, pool, at.check, at.wake)
    serve_asked(s, version, at.check)
    at.work.settle(s.project)
    switch(s, version, at.check)
    keep_instead(s, version)
    with s.edit() as state:
        state.trained = fingerprint(labelled.tasks, labelled.labels, s.target.as_dict())
    return {"version": version}
