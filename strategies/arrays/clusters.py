"""k-means++ and k-means in plain numpy: on embeddings an order of magnitude faster than scikit-learn's, whose start takes
longer than the rest, and without threads that fight over the cores of a busy worker."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import chunks
from strategies.arrays.vectors import Floats, squares

SAMPLE = 5000, 25  # at least so many points, and so many x clusters, that centres are fitted on; every point is then assigned
START = 1000, 5  # at least so many points, and so many x clusters, among which k-means++ finds the first centres
ITERATIONS = 20  # centres hardly move after that


def spread_out(
    squared_distances_to: Callable[[NDArray[np.int64]], Floats],
    first: int,
    count: int,
    fallback: NDArray[np.int64],
    random: np.random.Generator,
    trials: int = 1,
) -> NDArray[np.int64]:
    """k-means++ (Arthur & Vassilvitskii 2007): `count` of n points, int64, no point twice.

    After `first`, each next one is drawn in proportion to its squared distance to the nearest one drawn; of several `trials`,
    the one that leaves the points nearest. Where all those distances are 0, it is the first left of `fallback`, an order of
    the n points. squared_distances_to(rows): from all points to those, of shape (n, len(rows)).
    """
    drawn = np.empty(count, np.int64)
    left = np.ones(len(fallback), bool)
    nearest: Floats = np.full(len(fallback), np.inf, np.float32)
    tried = np.array([first])
    for rank in range(count):
        if rank:
            sums = np.cumsum(nearest, dtype=np.float64)
            if sums[-1] > 0:
                tried = np.searchsorted(sums, random.random(trials) * sums[-1], side="right")
            else:
                tried = fallback[left[fallback]][:1]
        closer = np.minimum(nearest[:, None], squared_distances_to(tried))
        best = int(closer.sum(axis=0).argmin())
        drawn[rank], nearest = tried[best], closer[:, best]
        left[tried[best]] = False
        nearest[~left] = 0  # rounding must not bring one back
    return drawn


def cluster(points: Floats, count: int, random: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """k-means (Lloyd 1982): the cluster of each point, int64 of shape (n,), and the centres, of shape (k, D), k at most
    `count`. Points that are equal share a cluster, so some may be empty. O(n k D), for centres of a sample of 5,000 or 25 k."""
    fewest, times = SAMPLE
    enough = max(fewest, times * count)
    sample = points if len(points) <= enough else points[np.sort(random.choice(len(points), enough, replace=False))]
    count = min(count, len(sample))
    fewest, times = START
    order = random.permutation(len(sample))[: max(fewest, times * count)]
    begin, fallback = sample[order], np.arange(len(order))  # in random order
    trials = 2 + int(np.log(count))  # as scikit-learn has it
    lengths = squares(begin)

    def squared_distances_to(rows: NDArray[np.int64]) -> Floats:
        return np.maximum(lengths[:, None] + lengths[rows] - 2 * (begin @ begin[rows].T), 0)

    start = spread_out(squared_distances_to, 0, count, fallback, random, trials)
    centres = lloyd(sample, begin[start])
    return assign(points, centres), centres


def lloyd(points: Floats, centres: Floats) -> Floats:
    """The centres, of shape (k, D), after at most ITERATIONS rounds of: assign each point, move each centre to the mean of its
    points. A centre without any stays."""
    before: NDArray[np.int64] | None = None
    for _ in range(ITERATIONS):
        assigned = assign(points, centres)
        if before is not None and (assigned == before).all():
            break
        centres, before = _means(points, assigned, centres), assigned
    return centres


def assign(points: Floats, centres: Floats) -> NDArray[np.int64]:
    """The nearest of the centres, int64 of shape (n,), in chunks of points. |p|^2 is the same for every centre: left out."""
    lengths, doubled = squares(centres), -2 * centres.T
    nearest = [(points[rows] @ doubled + lengths).argmin(axis=1) for rows in chunks(len(points), max(centres.shape))]
    return np.concatenate(nearest).astype(np.int64)


def _means(points: Floats, assigned: NDArray[np.int64], centres: Floats) -> Floats:
    """The mean of each cluster's points; the old centre where it has none."""
    from scipy.sparse import csr_array  # takes a while, and settings, that is every command, import this module

    n, sizes = len(points), np.bincount(assigned, minlength=len(centres)).astype(np.float32)
    members = csr_array((np.ones(n, np.float32), (assigned, np.arange(n))), shape=(len(centres), n))
    return np.where(sizes[:, None], (members @ points) / np.maximum(sizes, 1)[:, None], centres)
