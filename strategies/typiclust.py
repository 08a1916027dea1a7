"""TypiClust (Hacohen 2202.02794): typical images of clusters that hold few labels. Needs no head; for the cold start."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.clusters import cluster
from strategies.arrays.stages import pick_in_stages
from strategies.arrays.vectors import Floats, compact, squared_distances
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy, lowest

MAX_CLUSTERS = 500
SMALL = 5  # images up to which a cluster counts as an outlier and comes last
UNPROJECTED = 1000  # images up to which clusters are sought in the embeddings as they are: beyond, that takes many seconds
K = 20  # nearest neighbours
SAMPLE = 20_000  # images of a larger pool that stand for all: as typical ones as there are, there are among them
MEMBERS = 4000  # of a larger cluster that stand for all: the densest place is found as well among them


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """For a batch of B: min(|L| + B, 500) clusters of pool and labelled images, those with the fewest labels first, then the
    largest, and of each in turn its most typical image. In stages (`stages.py`), picks counting as labelled.

    O((N + M) D K) for K clusters and O(N s D) for clusters of s images; pools of more than 1,000 by a random projection, and
    of more than 20,000 images so many, drawn by the task's hash.
    """
    if len(query) > max(SAMPLE, size):
        rows = np.sort(lowest(query.hashes, query.hashes, max(SAMPLE, size)))
        return rows[_pick(query.only(rows), size)]
    points, n, random = compact(query, UNPROJECTED), len(query), query.generator("typiclust")
    taken = np.arange(len(points)) >= n

    def choose(picked: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
        taken[picked] = True
        clusters, _ = cluster(points, min(int(taken.sum()) + budget, MAX_CLUSTERS), random)
        return _most_typical_in_turn(points, clusters, taken, budget, random)

    return pick_in_stages(size, query.batch, choose)


def _most_typical_in_turn(
    points: Floats, clusters: NDArray[np.int64], taken: NDArray[np.bool_], budget: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """`budget` points that are not `taken`, bool (n,): one from each of the clusters, int64 (n,), again and again until there
    are enough; small clusters only where the others are used up."""
    sizes = np.bincount(clusters)
    labels = np.bincount(clusters[taken], minlength=len(sizes))
    order = np.lexsort((-sizes, labels)).tolist()
    left = {c: np.flatnonzero((clusters == c) & ~taken) for c in order}
    picks: list[int] = []
    for group in ([c for c in order if sizes[c] > SMALL], [c for c in order if sizes[c] <= SMALL]):
        waiting = [c for c in group if len(left[c])]
        while waiting and len(picks) < budget:
            for c in waiting[: budget - len(picks)]:
                picks.append(int(left[c][_most_typical(points, left[c], random)]))
                left[c] = left[c][left[c] != picks[-1]]
            waiting = [c for c in waiting if len(left[c])]
    return np.array(picks, np.int64)


def _most_typical(points: Floats, members: NDArray[np.int64], random: np.random.Generator) -> int:
    """The position in `members`, int64 (m,), of the one with the highest typicality."""
    seen: NDArray[np.int64] = np.arange(len(members))
    if len(members) > MEMBERS:
        seen = np.sort(random.choice(len(members), MEMBERS, replace=False))
    return int(seen[typicality(points[members[seen]]).argmax()])


def typicality(points: Floats) -> NDArray[np.float64]:
    """1 / (mean distance to the min(20, n / 2) nearest neighbours + 1e-5) of each of n points, of shape (n,). O(n^2 D)."""
    k = max(1, min(K, len(points) // 2))
    distances = squared_distances(points, points)
    np.fill_diagonal(distances, 0)
    nearest = np.sqrt(np.partition(distances, min(k, len(points) - 1), axis=1)[:, : k + 1])
    return 1 / (nearest.sum(axis=1, dtype=np.float64) / k + 1e-5)


typiclust = Strategy(margin, _pick, headless=True)
