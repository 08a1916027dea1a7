"""What may be accepted of a project now: the frozen head, what people said of its images, and what that allows."""

import numpy as np

from backend.labelstudio.several import SEVERAL_CHOICES
from backend.labelstudio.target import Target
from backend.learning.promise import Population, candidates
from backend.project.session import Session
from backend.project.validation import Frozen, Look, look
from model.version_store import VersionError


class NotNow(RuntimeError):
    """What was asked for cannot be done yet; the message says why, and what to do."""


def freeze(session: Session, error: float) -> Frozen:
    """Freeze the head of the version that the queue follows. The index must have been read. Raises NotNow."""
    check_target(session.target)
    try:
        live = session.versions.load(session.state.live)
    except VersionError:
        raise NotNow("There is no version to freeze yet: label, and wait for the first round.") from None
    if live.head is None or not live.head.separates or not session.fits(live):
        raise NotNow(f"{live.name} cannot tell the classes apart yet: label images of at least two, and wait for a round.")
    _, pool = session.labelled_and_pool()
    pool = pool.only(pool.to_pick)
    told = live.head.probabilities(pool.embeddings)
    found = candidates(Population(pool.tasks, told.argmax(axis=1).astype(np.int64), told.max(axis=1)), error)
    if not len(found.tasks):
        raise NotNow(
            f"Nothing is worth checking yet: of {len(pool.tasks)} images without a label, {live.name} is sure of too few for "
            f"at most {100 * error:g} % wrong ones. Label on, or allow more errors (--error)."
        )
    return session.validation.freeze(live.name, live.target, error, found)


def check_target(target: Target) -> None:
    """That labels of this kind can be accepted. Raises NotNow."""
    if target.SEVERAL:
        raise NotNow(SEVERAL_CHOICES)


def usable(session: Session) -> Look:
    """The frozen head, by which labels can be accepted still. The index must have been read. Raises NotNow."""
    check_target(session.target)
    ask = f"`al-backend validate --project {session.project} --n 200`"
    found = look(session.validation, session.index.tasks)
    if not found:
        raise NotNow(f"No head is frozen to be checked: {ask} freezes one, and asks people about some of its images.")
    if found.frozen.target != session.target.as_dict():
        raise NotNow(f"The labelling config has changed since {found.frozen.version} was frozen: {ask} freezes another.")
    if found.frozen.used:
        raise NotNow(f"What {found.frozen.version} was sure of has been accepted: {ask} freezes the newest version.")
    return found
