"""Margin, then k-means: the most uncertain images, spread over the embeddings (after Zhdanov 1901.05954)."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.clusters import cluster
from strategies.arrays.stages import pick_in_stages
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy, lowest

PREFILTER = 10  # x batch: candidates, the lowest margins


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """For a batch of B: B clusters of the 10 B lowest margins, and of each the image nearest its centre, lowest margin first.
    In stages (`stages.py`). O(N log N + B^2 D) for a stage."""
    order = lowest(query.margins, query.hashes, size * (1 + PREFILTER))
    random = query.generator("margin_kmeans")

    def choose(picked: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
        candidates = order[~np.isin(order, picked)][: budget * PREFILTER]
        points = query.vectors(candidates)
        clusters, centres = cluster(points, budget, random)
        away = np.square(points - centres[clusters]).sum(axis=1)
        by_distance = np.lexsort((np.arange(len(points)), away, clusters))
        first = by_distance[np.unique(clusters[by_distance], return_index=True)[1]]
        rest = np.setdiff1d(np.arange(len(points)), first)  # fewer distinct images than clusters
        return candidates[np.concatenate([np.sort(first), rest])[:budget]]

    return pick_in_stages(size, query.batch, choose)


margin_kmeans = Strategy(margin, _pick)
