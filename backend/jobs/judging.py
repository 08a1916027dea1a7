"""Judging a backbone against the live one, as a fine-tuning and a migration both do before rounds may use it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.jobs.publish import config_unchanged
from backend.learning.foresight import foresee
from backend.learning.promotion import Comparison, Known, compare
from backend.learning.rounds import Labelled, train
from backend.project.embedding import embed_tasks, unembedded
from backend.project.session import Session

LOOKED_AT = 2000  # images without a label, at least, that the new backbone embeds to be judged: 20 s where it does 100 a second


class ConfigChanged(RuntimeError):
    """The labelling config asks something else than when the job began."""


@dataclass(frozen=True)
class Verdict:
    """How a backbone compares with the live one, and what a round would learn from with it."""

    found: Comparison
    known: Known


def judge(s: Session, name: str, tested: Mapping[int, int] | None = None) -> Verdict:
    """Compare the backbone `name` with the live one by labelled images that neither has seen; `s` works with it from then on.

    tested: judge by these tasks alone, as far as each still has the label given here. Raises ConfigChanged.
    """
    s.reread()
    if not config_unchanged(s, s.target):
        raise ConfigChanged("the labelling config changed meanwhile: what was learned is of no use")
    live = Known(*s.labelled_and_pool())
    s.use_backbone(name)
    new = _known(s)
    both = np.intersect1d(live.labelled.tasks, new.labelled.tasks)
    live, new = (Known(_only(side.labelled, both), side.pool) for side in (live, new))
    test = live.labelled.unseen & new.labelled.unseen
    if tested is not None:
        pairs = zip(live.labelled.tasks.tolist(), live.labelled.labels.tolist(), strict=True)
        test &= np.array([tested.get(task) == label for task, label in pairs], bool)
    return Verdict(compare(live, new, test, len(s.target.classes)), new)


def _known(s: Session) -> Known:
    """What the session's backbone sees, once it has embedded all labelled images and LOOKED_AT of the others. They are drawn by
    hash, and so at random."""
    labelled, others = unembedded(s)
    embed_tasks(s, labelled)
    known = Known(*s.labelled_and_pool())
    lacking = LOOKED_AT - len(known.pool.tasks)
    if lacking <= 0 or not others:
        return known
    embed_tasks(s, others[:lacking])
    return Known(*s.labelled_and_pool())


def keep_version(s: Session, verdict: Verdict) -> str:
    """Write what a backbone that is not used would have taught as a version without a queue, for a `rollback` to it; returns
    its name."""
    labelled, pool = verdict.known.labelled, verdict.known.pool
    head, metrics = train(labelled, pool, len(s.target.classes))
    metrics |= {"acceptable": foresee(head, pool)}
    return s.write_version(s.new_version_name(), labelled, head, metrics)


def _only(labelled: Labelled, tasks: np.ndarray) -> Labelled:
    """The part of `labelled` about `tasks`, in the order of their ids."""
    order = np.argsort(labelled.tasks)
    order = order[np.isin(labelled.tasks[order], tasks)]
    return labelled.only(order)
