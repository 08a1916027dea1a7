"""Moving images that people sent to the head of the queue there at once, under the version that the queue follows."""

from collections.abc import Callable

from backend.index.index import UNLABELLED
from backend.jobs.publish import publish_more
from backend.learning.ahead import at_the_head
from backend.learning.places import places_between
from backend.learning.rounds import Labelled, Pool
from backend.project.session import Session
from model.version_store import Version

CLOSEST = 1e-12  # between two places: nearer ones would become one in a database


def move_ahead(
    session: Session, version: Version, labelled: Labelled, pool: Pool, check: Callable[[], None], wake: Callable[..., None]
) -> int:
    """Publish what was sent ahead, or is asked about to check a frozen head, and does not stand there yet before everything
    else that is open; returns how many.

    Those that stand in their order stay as they are, so the same is done twice at no cost. Raises what `publish_more` raises.
    """
    first = at_the_head(version.head, pool, session.first(), len(labelled.tasks), session.settings.explore)
    if not len(first.tasks):
        return 0
    published, sent = session.index.published.scores(version.name), set(first.tasks.tolist())
    still_open = session.index.tasks.published(version.name, UNLABELLED)
    before = min((place for task, place in still_open.items() if task not in sent), default=0.5)
    settled, last, silent = 0, 0.0, session.index.published.slots(version.name)
    for task, is_slot in zip(first.tasks.tolist(), first.slots.tolist(), strict=True):
        if not last < published.get(task, 0.0) < before or (is_slot and task not in silent):
            break
        settled, last = settled + 1, published[task]
    left = first.only(sent - set(first.tasks[:settled].tolist()))
    places = places_between(last, before, len(left.tasks))
    if not len(places):
        return 0
    if before - places[-1] < CLOSEST:
        wake("round")  # which lays the queue out anew
        return 0
    return publish_more(session, version.name, left.at(places), check)


def let_labelled_go(session: Session) -> None:
    """Forget those sent ahead that are answered, skipped or gone. The index must have been read whole."""
    sent = session.ahead.tasks().tolist()
    known = session.index.tasks.known(sent)
    session.ahead.let_go(task for task in sent if known.get(task, ("",))[0] != UNLABELLED)
