"""Distances between embeddings, few enough numbers at a time for a million of them."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import chunks
from strategies.query import Query

Floats = NDArray[np.float32]

EXACT = 20_000  # images up to which embeddings are taken as they are: 160 MiB of 2048 dimensions
PROJECTED = 128  # dimensions of a larger pool: squared distances keep to about sqrt(2 / 128) = 12 % (Johnson-Lindenstrauss)


def compact(query: Query, exact: int = EXACT) -> Floats:
    """Embeddings to hold in memory, float32 of shape (N + M, P): the pool, then what is labelled.

    Up to `exact` images they are the embeddings themselves, P = D; beyond, a Gaussian random projection to P = PROJECTED
    dimensions, made in chunks: O((N + M) D P).
    """
    n, m, dimensions = len(query), query.labelled_count, query.vectors(slice(0, 0)).shape[1]
    if n + m <= exact or dimensions <= PROJECTED:
        return np.vstack([query.vectors(), query.labelled_vectors()])
    normal = query.generator("projection").standard_normal((dimensions, PROJECTED), np.float32) / np.float32(PROJECTED**0.5)
    out = np.empty((n + m, PROJECTED), np.float32)
    for rows in chunks(n, dimensions):
        out[:n][rows] = query.vectors(rows) @ normal
    for rows in chunks(m, dimensions):
        out[n:][rows] = query.labelled_vectors(rows) @ normal
    return out


def squared_distances(a: Floats, b: Floats) -> Floats:
    """Squared Euclidean distances, float32 of shape (len(a), len(b)), between rows of `a` and rows of `b`, both D wide."""
    return np.maximum(squares(a)[:, None] + squares(b) - 2 * (a @ b.T), 0)


def nearest_squared_distance(points: Floats, among: Floats) -> Floats:
    """The squared distance from each of `points` to the nearest row of `among`, float32 of shape (len(points),); infinite
    where there is none. In chunks of points."""
    return nearest_by_products(points, squares(points), among, squares(among))


def nearest_by_products(points: Floats, of_points: Floats, among: Floats, of_among: Floats) -> Floats:
    """As `nearest_squared_distance`, with the squared lengths given: |p - a|^2 = |p|^2 + |a|^2 - 2 p.a."""
    if not len(among):
        return np.full(len(points), np.inf, np.float32)
    doubled = -2 * among.T
    nearest = [(points[rows] @ doubled + of_among).min(axis=1) for rows in chunks(len(points), max(among.shape))]
    return np.maximum(np.concatenate(nearest) + of_points, 0)


def to_labelled(query: Query, vectors: Floats) -> Floats:
    """The squared distance from each of `vectors`, (n, D), to the nearest labelled image, (n,); infinite where there is
    none."""
    nearest = np.full(len(vectors), np.inf, np.float32)
    for rows in chunks(query.labelled_count, vectors.shape[1]):
        np.minimum(nearest, nearest_squared_distance(vectors, query.labelled_vectors(rows)), out=nearest)
    return nearest


def squares(a: Floats) -> Floats:
    """The squared length of each row of `a`, of shape (len(a),)."""
    return np.einsum("ij,ij->i", a, a)
