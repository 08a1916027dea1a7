"""The order before a model can tell images apart: spread over the embeddings.

Clusters of doubling number (first, 2 x first, 4 x first ...): the images nearest the centres of the first clustering come
first, then one from each cluster of the next that holds none yet. So every prefix of the order covers the pool, and
typical images come before odd ones (cf. TypiClust, Hacohen 2202.02794; farthest-first starts with the outliers).
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.random_projection import GaussianRandomProjection

PROJECTED = 64  # dimensions in which clusters are sought; pairwise distances survive (Johnson-Lindenstrauss)
SAMPLE = 20_000  # images that clusters are fitted on; every image is then assigned


def spread(
    embeddings: NDArray[np.float32], covered: NDArray[np.float32], size: int, first: int = 10, seed: int = 0
) -> NDArray[np.int64]:
    """Indices of `size` of the N images, the order in which they cover the pool.

    embeddings: float32 of shape (N, D); covered: embeddings of shape (M, D) of images already labelled, whose clusters
    count as covered; first: clusters of the first clustering. O(N D + N size) time.
    """
    size = min(size, len(embeddings))
    if size == 0:
        return np.zeros(0, np.int64)
    both = np.vstack([embeddings, covered.reshape(-1, embeddings.shape[1])])
    if both.shape[1] > PROJECTED:
        both = GaussianRandomProjection(PROJECTED, random_state=seed).fit_transform(both)
    picked: list[int] = []
    taken = np.zeros(len(both), bool)
    taken[len(embeddings) :] = True
    clusters = max(1, min(first, size))
    while len(picked) < size:
        found, distinct = _one_per_empty_cluster(both, taken, clusters, seed) if clusters < len(both) else ([], 0)
        if not found and distinct < clusters:  # no more clusters than points that differ
            rest = np.flatnonzero(~taken)
            return np.concatenate([np.array(picked, np.int64), rest])[:size]
        picked += found
        taken[found] = True
        clusters *= 2
    return np.array(picked[:size], np.int64)


def _one_per_empty_cluster(points: NDArray, taken: NDArray[np.bool_], clusters: int, seed: int) -> tuple[list[int], int]:
    """The point nearest the centre of each cluster that holds no taken point, largest cluster first; and how many clusters
    hold any point."""
    random = np.random.default_rng(seed)
    sample = points if len(points) <= SAMPLE else points[random.choice(len(points), SAMPLE, replace=False)]
    clusters = min(clusters, len(sample))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters: handled by the caller
        model = MiniBatchKMeans(clusters, random_state=seed, n_init=1, batch_size=2048, max_iter=30).fit(sample)
    assigned = model.predict(points)
    distances = np.linalg.norm(points - model.cluster_centers_[assigned], axis=1)
    sizes = np.bincount(assigned, minlength=clusters)
    empty = np.setdiff1d(np.unique(assigned), assigned[taken])
    order = empty[np.argsort(-sizes[empty], kind="stable")]
    nearest = np.lexsort((distances, assigned))
    first_of = nearest[np.unique(assigned[nearest], return_index=True)[1]]
    by_cluster = dict(zip(assigned[first_of].tolist(), first_of.tolist(), strict=True))
    return [by_cluster[int(cluster)] for cluster in order], len(by_cluster)
