"""Judging a backbone against the live one, as a fine-tuning and a migration both do before rounds may use it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.jobs.publish import config_unchanged
from backend.learning.foresight import foresee
from backend.learning.promotion import Comparison, compare
from backend.learning.rounds import Labelled, Pool, train
from backend.project.embedding import embed_tasks, unembedded
from backend.project.session import Session


class ConfigChanged(RuntimeError):
    """The labelling config asks something else than when the job began."""


@dataclass(frozen=True)
class Verdict:
    """How a backbone compares with the live one, and what a round would learn from with it."""

    found: Comparison
    labelled: Labelled
    pool: Pool


def judge(s: Session, name: str, tested: Mapping[int, int] | None = None) -> Verdict:
    """Compare the backbone `name` with the live one on labelled random slots that neither has seen; `s` works with it from
    then on. tested: judge on these tasks alone, as far as each still has the label given here. Raises ConfigChanged.
    """
    s.reread()
    if not config_unchanged(s, s.target):
        raise ConfigChanged("the labelling config changed meanwhile: what was learned is of no use")
    live = s.labelled()
    s.use_backbone(name)
    embed_tasks(s, unembedded(s)[0])
    new, pool = s.labelled_and_pool()
    both = np.intersect1d(live.tasks, new.tasks)
    live, new = _only(live, both), _only(new, both)
    test = live.unseen & new.unseen
    if tested is not None:
        pairs = zip(live.tasks.tolist(), live.labels.tolist(), strict=True)
        test &= np.array([tested.get(task) == label for task, label in pairs], bool)
    return Verdict(compare(live, new.embeddings, test, len(s.target.classes)), new, pool)


def keep_version(s: Session, verdict: Verdict) -> str:
    """Write what a backbone that is not used would have taught as a version without a queue, for a `rollback` to it; returns
    its name."""
    head, metrics = train(verdict.labelled, verdict.pool, len(s.target.classes))
    metrics |= {"acceptable": foresee(head, verdict.pool)}
    return s.write_version(s.new_version_name(), verdict.labelled, head, metrics)


def _only(labelled: Labelled, tasks: np.ndarray) -> Labelled:
    """The part of `labelled` about `tasks`, in the order of their ids."""
    order = np.argsort(labelled.tasks)
    order = order[np.isin(labelled.tasks[order], tasks)]
    return labelled.only(order)
