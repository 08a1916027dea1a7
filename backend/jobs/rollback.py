"""The job that lets the queue follow an older version again."""

from typing import Any

from backend.jobs.job import job
from backend.jobs.publish import switch
from backend.jobs.reconcile import recall_published, top_up
from backend.jobs.round import embed_first
from backend.labelstudio.labelling_config import LabelConfigError
from model.version_store import fingerprint


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
