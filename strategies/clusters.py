"""k-means for strategies that pick by clusters."""

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FEW = 50  # clusters up to which k-means is run in full, as in TypiClust's code; more are found in mini-batches
SAMPLE = 20_000  # points that clusters are fitted on; every point is then assigned


def cluster(
    points: Floats, count: int, random: np.random.Generator, weights: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """k-means with at most `count` clusters: the cluster of each point, int64 of shape (n,), and the centres (count, D).

    Points that are equal share a cluster, so some clusters may be empty. weights: how much each point counts, of shape (n,).
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans  # takes a second: not for a process that never clusters
    from sklearn.exceptions import ConvergenceWarning

    sample = slice(None) if len(points) <= SAMPLE else np.sort(random.choice(len(points), SAMPLE, replace=False))
    count = min(count, len(points), SAMPLE)
    seed = int(random.integers(2**31))
    model = KMeans(count, n_init=1, random_state=seed)
    if count > FEW:
        model = MiniBatchKMeans(count, n_init=1, random_state=seed, batch_size=5000, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters
        model.fit(points[sample], sample_weight=None if weights is None else weights[sample])
    return model.predict(points).astype(np.int64), model.cluster_centers_.astype(np.float32)
