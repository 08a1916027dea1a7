"""BADGE (Ash 1906.03671): k-means++ on gradient embeddings, so that picks are both uncertain and diverse.

The gradient embedding of an image is the gradient of the loss with respect to the last layer, had the predicted class been
right: g = a outer e, with a = p - y of C numbers, y = onehot(argmax p), and the embedding e of D; where classes are
independent, y is 1 for each with p >= 1/2. It is never materialised, as
|gi - gj|^2 = |ai|^2 |ei|^2 + |aj|^2 |ej|^2 - 2 (ai.aj) (ei.ej).
"""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.clusters import spread_out
from strategies.arrays.vectors import EXACT, squares
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy, lowest

PREFILTER = 10, 50  # x size: of a larger pool only so many of the lowest margins; the others' gradients are near 0


class Gradients:
    """Gradient embeddings of n images by their factors.

    errors: float32 of shape (n, C), p - y; embeddings: float32 of shape (n, D); squares: |g|^2, of shape (n,).
    """

    def __init__(self, probabilities: NDArray[np.floating], embeddings: NDArray[np.float32], independent: bool = False) -> None:
        self.errors = probabilities.astype(np.float32)
        if independent:
            self.errors -= probabilities >= 0.5
        else:
            self.errors[np.arange(len(self.errors)), probabilities.argmax(axis=1)] -= 1
        self.embeddings = embeddings
        self.squares = squares(self.errors) * squares(embeddings)

    def squared_distances(self, to: NDArray[np.int64]) -> NDArray[np.float32]:
        """|g - g[j]|^2 for each j of `to`, of shape (n, len(to)). O(n len(to) (C + D))."""
        products = (self.errors @ self.errors[to].T) * (self.embeddings @ self.embeddings[to].T)
        return np.maximum(self.squares[:, None] + self.squares[to] - 2 * products, 0)


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """The largest |g| first, as in the authors' code, then k-means++: each next one drawn in proportion to its squared
    distance to the nearest pick. Where all distances are 0, the lowest margin. O(size n (C + D)) for n candidates."""
    candidates: NDArray[np.int64] = np.arange(len(query))
    if len(query) > EXACT:
        fewest, most = PREFILTER
        candidates = np.sort(lowest(query.margins, query.hashes, max(size * fewest, min(size * most, EXACT))))
    gradients = Gradients(query.probabilities[candidates], query.vectors(candidates), query.independent)
    by_margin = lowest(query.margins[candidates], query.hashes[candidates], len(candidates))
    first = int(by_margin[gradients.squares[by_margin].argmax()])
    return candidates[spread_out(gradients.squared_distances, first, size, by_margin, query.generator("badge"))]


badge = Strategy(margin, _pick)
