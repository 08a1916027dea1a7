"""The job that looks for labels that are likely wrong, after the queue follows a version: nobody waits for it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.jobs.job import JobAtWork, perform
from backend.learning.rounds import Labelled
from backend.project.doubts import Doubt, Found, write_found
from backend.project.session import Session
from model.doubts import find_doubts
from model.head import Head, cross_fit
from model.learner import Learner
from model.selftraining import SAMPLE
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
    write_found(s.versions.folder / live.name, found)
    return len(found.doubts)


def doubts_of(labelled: Labelled, head: Head, pool: NDArray[np.floating], classes: list[str]) -> Found:
    """Labels in doubt of `labelled` images, by heads as sharp as `head` that did not learn them, beside a `pool`, (N, D)."""
    finite = np.isfinite(labelled.embeddings.sum(axis=1))
    labelled = labelled.only(finite)
    n, sizes = len(labelled.labels), np.bincount(labelled.labels, minlength=len(classes))
    learned = int((~labelled.unseen).sum())
    if n < FEWEST or (sizes > 0).sum() < 2:
        return Found([], 0, learned)
    learner = Learner(labelled.embeddings, labelled.labels, len(classes), pool)
    probabilities = cross_fit(learner, np.ones(n, bool), head.temperature)
    doubts = find_doubts(labelled.labels, probabilities)
    given = labelled.labels[doubts.rows]
    told = zip(doubts.rows, given, doubts.given, doubts.suggested, doubts.confidences, strict=True)
    return Found(
        [
            Doubt(int(labelled.tasks[row]), classes[label], float(own), classes[best], float(confidence))
            for row, label, own, best, confidence in told
            if sizes[label] >= EACH
        ],
        n,
        learned,
    )


def pool_sample(session: Session) -> NDArray[np.float32]:
    """Embeddings of as many images of the pool as a head learns from, drawn at random: (N, D)."""
    _, keys = session.index.pool()
    if len(keys) > SAMPLE:
        keys = keys[np.sort(np.random.default_rng(0).choice(len(keys), SAMPLE, replace=False))]
    values, found = session.store.get(keys.tolist())
    return values[found].astype(np.float32)
