"""Principal dimensions of embeddings: the few in which most of their differences lie.

`strategies/arrays/principal.py` has the same for strategies: neither package may import the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Principal:
    """Principal components. mean: float32 (D,); components: orthonormal, float32 (d, D), that with the most variance first."""

    mean: Floats
    components: Floats

    @classmethod
    def of(cls, sample: NDArray[np.floating], dimensions: int, seed: int = 0) -> "Principal":
        """About the first `dimensions` components of `sample`, (n, D), n > 0; fewer where it spans less."""
        rows = sample.astype(np.float32)
        mean = rows.mean(axis=0)
        rows -= mean
        basis = principal_basis(rows, 2 * dimensions, seed)  # one step is rough: the best half of twice as many is not
        inside = rows @ basis.T
        _, turned = np.linalg.eigh((inside.T @ inside).astype(np.float64))
        return cls(mean, (turned.T[::-1][:dimensions].astype(np.float32) @ basis).astype(np.float32))

    def of_each(self, embeddings: NDArray[np.floating]) -> Floats:
        """`embeddings`, (n, D), in these components: float32 (n, d)."""
        centred: Floats = embeddings.astype(np.float32) - self.mean
        return centred @ self.components.T


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
