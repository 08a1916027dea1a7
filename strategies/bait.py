"""BAIT (Ash 2106.09675): the images whose labels leave the head least uncertain about the pool, by Fisher information.

Unlike margin it asks how much a label would say about all other images, so it passes over what is uncertain only because it is
odd or ambiguous; and it knows what an earlier pick will have said already.
"""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import rowwise
from strategies.arrays.principal import principal_columns
from strategies.margin import margin
from strategies.query import Query
from strategies.strategy import Strategy, lowest

Doubles = NDArray[np.float64]

PREFILTER = 20  # x size: candidates, the lowest margins ...
CANDIDATES = 2000, 10_000  # ... but at least and at most so many
CROWD = 2000  # images drawn at random that stand for the pool
DIMENSIONS = 256  # principal ones, to which the head's weights are confined
PRIOR = 2.0  # variance of the head's weights before any label; little changes between 1 and 5 on two photo sets


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    """Repeat: the image whose label lowers the pool's uncertainty most, given the labels and picks so far. Ties by margin.

    The pool's uncertainty is trace(S M): S the covariance of the head's weights, M the sum of u x x^T over the pool's images x,
    and u = 1 - sum p^2 the trace of diag(p) - p p^T, the Fisher information that an answer gives about its logits. To spread it
    evenly over the classes, as u does, is exact for two of them, and spares matrices of C D rows. S is the inverse of
    I / PRIOR + the sum of u x x^T over what is labelled and picked. A label of x lowers the uncertainty by
    u x^T S M S x / (1 + u x^T S x). The paper also drops picks again, backwards; here each place in the queue is final.

    O((n + M) D d) for n candidates and M labelled images in d dimensions, then O(n d + d^2) for each pick.
    """
    candidates = lowest(query.margins, query.hashes, max(size, int(np.clip(size * PREFILTER, *CANDIDATES))))
    crowd = np.sort(lowest(query.hashes, query.hashes, CROWD))
    pool = np.union1d(candidates, crowd)
    vectors = np.vstack([query.vectors(pool), query.labelled_vectors()])
    inputs = (vectors @ principal_columns(vectors, DIMENSIONS, query.generator("bait"))).astype(np.float64)
    x, others = (inputs[np.searchsorted(pool, rows)] for rows in (candidates, crowd))
    known = inputs[len(pool) :]
    u, of_others = (information(query.probabilities[rows], query.independent) for rows in (candidates, crowd))
    if query.labelled_probabilities is None:
        of_known: Doubles = np.full(len(known), of_others.mean())
    else:
        of_known = information(query.labelled_probabilities, query.independent)
    covariance = np.linalg.inv(np.eye(inputs.shape[1]) / PRIOR + (known.T * of_known) @ known)
    return candidates[most_informative(x, u, covariance, (others.T * of_others) @ others, size)]


def information(probabilities: NDArray[np.floating], independent: bool = False) -> Doubles:
    """u = 1 - sum p^2 of each row of (N, C), in [0, 1 - 1 / C]: what an answer would tell about its logits.

    With probabilities that sum to 1 that is sum p (1 - p). Of independent classes it is the mean of p (1 - p), up to 1 / 4:
    each has weights of its own, of which an answer to another class tells nothing.
    """
    if independent:
        return rowwise(lambda p: (p.astype(np.float64) * (1 - p)).mean(axis=1), probabilities)
    return np.maximum(1 - rowwise(lambda p: np.square(p.astype(np.float64)).sum(axis=1), probabilities), 0)


def most_informative(x: Doubles, u: Doubles, covariance: NDArray[np.floating], pool: Doubles, size: int) -> NDArray[np.int64]:
    """Positions of `size` of n images, the most informative first, the earliest of equals.

    x: (n, d); u: (n,); covariance: S, (d, d), before the first pick; pool: M, (d, d). A pick replaces S by S - c v v^T, with
    v = S x_pick and c = u / (1 + u x_pick^T v) (Sherman & Morrison 1950); x^T S x and x^T S M S x follow from that.
    """
    s = covariance.copy()
    xs = x @ s
    variances = np.einsum("nd,nd->n", xs, x)
    lowered = np.einsum("nd,nd->n", xs @ pool, xs)
    picks = np.empty(size, np.int64)
    left = np.ones(len(x), bool)
    for rank in range(size):
        gains = u * np.maximum(lowered, 0) / (1 + u * np.maximum(variances, 0))  # rounding may have left them below 0
        pick = picks[rank] = np.where(left, gains, -1).argmax()
        left[pick] = False
        v = s @ x[pick]
        c = u[pick] / (1 + u[pick] * (x[pick] @ v))
        along, mv = x @ v, pool @ v
        lowered += c * along * (c * along * (v @ mv) - 2 * (x @ (s @ mv)))
        variances -= c * along**2
        s -= c * np.outer(v, v)
    return picks


bait = Strategy(margin, _pick)
