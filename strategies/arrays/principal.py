"""Principal dimensions of vectors: the few in which most of their differences lie."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def in_principal_dimensions(vectors: Floats, dimensions: int, random: np.random.Generator) -> Floats:
    """`vectors`, float32 (n, D), in about their R <= `dimensions` principal dimensions: float32 (n, R).

    One step of subspace iteration (Halko 0909.4061), made orthonormal by the eigenvectors of a small product, so that nearly
    all of it is products of matrices: O(n D R). R is less where the vectors span less.
    """
    start = random.standard_normal((vectors.shape[1], min(dimensions, *vectors.shape)), np.float32)
    columns = vectors.T @ (vectors @ start)
    if not columns.any():
        return vectors[:, :0]
    for _ in range(2):  # once leaves them a little skew
        squares, turned = np.linalg.eigh((columns.T @ columns).astype(np.float64))
        kept = squares > squares[-1] * 1e-10
        columns = columns @ (turned[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    return vectors @ columns
