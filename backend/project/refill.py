"""What comes next in a queue that people have half used up, under the same version."""

import numpy as np
from numpy.typing import NDArray

from backend.index.index import UNLABELLED, Index
from backend.learning.places import refill_places
from backend.learning.rounds import Labelled, Pool, Ranking, Rules, rank_anyway
from model.version_store import Version

NOTHING = Ranking(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, bool), None)


def next_images(
    index: Index, sent: NDArray[np.int64], version: Version, labelled: Labelled, pool: Pool, rules: Rules
) -> Ranking:
    """The images to publish behind what is left of the queue of `version`; none before half of it is used.

    sent: tasks that people sent to its head, or that check a frozen head, int64 (n,): no part of what the strategy has queued.
    """
    published = index.published.scores(version.name)
    queued = {task: place for task, place in published.items() if place < 0.5}
    waiting = index.tasks.published(version.name, UNLABELLED).keys() & queued.keys()
    others = set(sent.tolist())
    if len(waiting - others) > min(len(queued.keys() - others), rules.size) / 2:
        return NOTHING
    rest = pool.only(~np.isin(pool.tasks, list(queued)))
    if rest.is_done:
        return NOTHING
    before = pool.embeddings[np.isin(pool.tasks, list(waiting))]
    ranking, _ = rank_anyway(version.head, rest, labelled, rules, version.name, before)
    return ranking.at(refill_places(max(queued.values()), len(ranking.tasks))) if queued else ranking
