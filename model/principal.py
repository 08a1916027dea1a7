"""Principal dimensions of embeddings: the few in which most of their differences lie.

`strategies/arrays/principal.py` has the same for strategies: neither package may import the other.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def principal_basis(rows: Floats, dimensions: int, seed: int) -> Floats:
    """An orthonormal basis, float32 (R, D), of about the R <= `dimensions` principal dimensions of `rows`, float32 (n, D).

    One step of subspace iteration from a random start (Halko 0909.4061), made orthonormal by the eigenvectors of a small
    product, so that nearly all of it is products of matrices: O(n D R). R is less where the rows span less.
    """
    start = np.random.default_rng(seed).standard_normal((rows.shape[1], min(dimensions, *rows.shape)), np.float32)
    return np.ascontiguousarray(_orthonormal(rows.T @ (rows @ start)).T)


def _orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of the span of `columns`, (D, k), as columns; twice, since once leaves it a little skew."""
    if not columns.any():
        return columns[:, :0]
    for _ in range(2):
        squares, vectors = np.linalg.eigh((columns.T @ columns).astype(np.float64))
        kept = squares > squares[-1] * 1e-10
        columns = columns @ (vectors[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    return columns
