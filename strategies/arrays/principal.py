"""Principal dimensions of vectors: the few in which most of their differences lie."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def principal_columns(vectors: Floats, dimensions: int, random: np.random.Generator, steps: int = 1) -> Floats:
    """Orthonormal columns, float32 (D, R), that span about the R <= `dimensions` principal dimensions of `vectors`, float32
    (n, D).

    So many `steps` of subspace iteration (Halko 0909.4061), each made orthonormal by the eigenvectors of a small product, so
    that nearly all of it is products of matrices: O(n D R). R is less where the vectors span less.
    """
    columns = random.standard_normal((vectors.shape[1], min(dimensions, *vectors.shape)), np.float32)
    for _ in range(steps):
        columns = _orthonormal(vectors.T @ (vectors @ columns))
    return columns


def _orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the span of `columns`, (D, k), as columns; twice, since once leaves it a little skew."""
    if not columns.any():
        return columns[:, :0]
    for _ in range(2):
        squares, turned = np.linalg.eigh((columns.T @ columns).astype(np.float64))
        kept = squares > squares[-1] * 1e-10
        columns = columns @ (turned[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    return columns
