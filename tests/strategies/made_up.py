"""Made-up pools: clusters of embeddings, and the probabilities of a linear head on them."""

import numpy as np
from scipy.special import softmax

from strategies.query import Query


def probabilities(n, classes, seed=0):
    """Random rows, from nearly certain to nearly uniform."""
    random = np.random.default_rng(seed)
    return np.vstack([random.dirichlet(np.full(classes, c)) for c in np.geomspace(0.05, 50, n)])


def normalised(points):
    """Rows of length 1, float32."""
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def clusters(sizes, dimensions=16, noise=0.1, seed=0):
    """Clusters of the given sizes on the unit sphere: (embeddings, the cluster of each)."""
    random = np.random.default_rng(seed)
    of = np.repeat(np.arange(len(sizes)), sizes)
    centres = normalised(random.normal(size=(len(sizes), dimensions)))
    return normalised(centres[of] + noise / np.sqrt(dimensions) * random.normal(size=(len(of), dimensions))), of


def committee_on(embeddings, classes, members=4, seed=0):
    """Random linear heads on `embeddings`."""
    weights = 5 * np.random.default_rng(seed).normal(size=(members, embeddings.shape[1], classes))
    return lambda rows: softmax(embeddings[rows].astype(np.float64) @ weights, axis=2)


def query(n=50, classes=4, known=6, **others):
    """A pool of `n`, and `known` labelled images, with all that any strategy needs; `others` replace parts."""
    embeddings = clusters([(n + known) // 5 + 1] * 5)[0][: n + known]
    parts = {
        "tasks": np.arange(100, 100 + n),
        "probabilities": probabilities(n, classes) if n else np.zeros((0, classes)),
        "embeddings": embeddings[:n],
        "labelled": embeddings[n:],
        "labels": np.arange(known) % classes,
        "seed": "al-1",
    } | others
    if isinstance(parts["embeddings"], np.ndarray) and parts["embeddings"].ndim == 2:
        parts.setdefault("committee", committee_on(parts["embeddings"], parts["probabilities"].shape[1]))
    return Query(**parts)
