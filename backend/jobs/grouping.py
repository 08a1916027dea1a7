"""The groups of look-alikes that go with a version, put where the page of groups finds them."""

import numpy as np
from numpy.typing import NDArray

from backend.learning.groups import LookAlikes, find_groups
from backend.learning.rounds import Labelled, Pool, Ranking
from backend.project.session import Session
from backend.records.groups import Group
from model.heads.head import Head


def keep_groups(
    session: Session,
    version: str,
    head: Head | None,
    labelled: Labelled,
    pool: Pool,
    ranking: Ranking,
    ahead: NDArray[np.int64],
) -> None:
    """Find groups for `version` and keep them; the queue has switched already, and does not wait.

    ahead: tasks at the head of the queue, which are labelled one by one.

    There are none where an image may be of several classes, since one class would not settle it. All tasks must have been read:
    before, nobody knows how many of them the random sample will draw.
    """
    if labelled.independent:
        return
    found = find_groups(head, pool, ranking, session.index.count(), session.settings.explore, ahead)
    session.groups.write(version, [_group(session, f"{version}-{number}", one) for number, one in enumerate(found, 1)])


def _group(session: Session, name: str, found: LookAlikes) -> Group:
    likely_odd = f"about {max(1, round(found.odd))} of {len(found.tasks)} may not belong"
    why = f"like image {found.tasks[0]}, a pick of the strategy; {likely_odd}"
    return Group(name, tuple(found.tasks.tolist()), session.target.classes[found.label], tuple(found.confidences.tolist()), why)
