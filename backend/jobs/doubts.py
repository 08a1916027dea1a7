"""The job that looks for labels that are likely wrong, after the queue follows a version: nobody waits for it."""

import json
from collections.abc import Iterator
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.jobs.job import JobAtWork, perform
from backend.learning.rounds import Labelled
from backend.project.session import Session
from backend.records.doubts import Doubt, Found, write_found
from model.heads.doubts import find_doubts, find_set_doubts
from model.heads.head import Head, cross_fit
from model.heads.learner import Learner
from model.heads.selftraining import SAMPLE
from model.version_store import VersionError

FEWEST = 20  # labels, with fewer of which a head that leaves some out says too little about them
EACH = 5  # labels of a class, without which none of it is put in doubt


def doubt(project: int, generation: int) -> Any:
    """Write beside the live version which labels it doubts. Returns how many."""
    return perform("doubts", project, generation, _doubt)


def _doubt(at: JobAtWork) -> int:
    s = at.session
    try:
        live = s.versions.load(s.state.live)
    except VersionError:
        return 0
    s.look()
    if not live.head or not s.fits(live):
        return 0
    found = doubts_of(s.labelled(), live.head, pool_sample(s), live.classes)
    write_found(s.documents, live.name, found)
    return len(found.doubts)


def doubts_of(labelled: Labelled, head: Head, pool: NDArray[np.floating], classes: list[str]) -> Found:
    """Labels in doubt of `labelled` images, by heads as sharp as `head` that did not learn them, beside a `pool`, (N, D)."""
    labelled = labelled.only(np.isfinite(labelled.embeddings.sum(axis=1)))
    n, learned = len(labelled.labels), int((~labelled.unseen).sum())
    sizes = labelled.labels.sum(axis=0) if labelled.independent else np.bincount(labelled.labels, minlength=len(classes))
    if n < FEWEST or (sizes > 0).sum() < 2:
        return Found([], 0, learned)
    learner = Learner(labelled.embeddings, labelled.labels, len(classes), pool)
    probabilities = cross_fit(learner, np.ones(n, bool), head.temperature)
    tell = _set_doubts if labelled.independent else _class_doubts
    return Found(list(tell(labelled, probabilities, classes, sizes >= EACH)), n, learned)


def _class_doubts(
    labelled: Labelled, probabilities: NDArray[np.float32], classes: list[str], enough: NDArray[np.bool_]
) -> Iterator[Doubt]:
    """Of labels that are one class each; enough: the classes that are put in doubt, bool (C,)."""
    found = find_doubts(labelled.labels, probabilities)
    given = labelled.labels[found.rows]
    for row, label, own, best, confidence in zip(
        found.rows, given, found.given, found.suggested, found.confidences, strict=True
    ):
        if enough[label]:
            yield Doubt(int(labelled.tasks[row]), classes[label], float(own), classes[best], float(confidence))


def _set_doubts(
    labelled: Labelled, probabilities: NDArray[np.float32], classes: list[str], enough: NDArray[np.bool_]
) -> Iterator[Doubt]:
    """Of labels that are sets, written as the index writes them; what is told of one is how probable the least probable of its
    answers is."""
    rows, suggested, least = find_set_doubts(labelled.labels, probabilities)
    for row, better, own in zip(rows, suggested, least, strict=True):
        if enough[labelled.labels[row] ^ better].all():
            label, other = (
                json.dumps(list(compress(classes, held)), ensure_ascii=False) for held in (labelled.labels[row], better)
            )
            yield Doubt(int(labelled.tasks[row]), label, float(own), other, 1 - float(own))


def pool_sample(session: Session) -> NDArray[np.float32]:
    """Embeddings of as many images of the pool as a head learns from, drawn at random: (N, D)."""
    _, keys = session.index.tasks.pool()
    if len(keys) > SAMPLE:
        keys = keys[np.sort(np.random.default_rng(0).choice(len(keys), SAMPLE, replace=False))]
    values, found = session.store.get(keys)
    return values[found].astype(np.float32)
