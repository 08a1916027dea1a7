"""BAIT (Ash 2106.09675): the images whose labels leave the head least uncertain about the pool, by Fisher information.

Unlike margin it asks how much a label would say about all other images, so it passes over what is uncertain only because it is
odd or ambiguous; and it knows what an earlier pick will have said already.
"""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import rowwise
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
    vectors = np.vstack([query.vectors(candidates), query.vectors(crowd), query.labelled_vectors()])
    inputs = _principal(vectors, int(query.generator("bait").integers(2**31)))
    x, others, known = np.split(inputs, [len(candidates), len(candidates) + len(crowd)])
    u, of_others = (information(query.probabilities[rows]) for rows in (candidates, crowd))
    if query.labelled_probabilities is None:
        of_known: Doubles = np.full(len(known), of_others.mean())
    else:
        of_known = information(query.labelled_probabilities)
    covariance = np.linalg.inv(np.eye(inputs.shape[1]) / PRIOR + (known.T * of_known) @ known)
    return candidates[most_informative(x, u, covariance, (others.T * of_others) @ others, size)]


def information(probabilities: NDArray[np.floating]) -> Doubles:
    """u = 1 - sum p^2 of each row of (N, C), in [0, 1 - 1 / C]: what an answer would tell about its logits."""
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


def _principal(rows: NDArray[np.float32], seed: int) -> Doubles:
    """`rows`, (n, D), in their principal dimensions, at most DIMENSIONS of them (Halko 0909.4061)."""
    from sklearn.utils.extmath import randomized_svd  # takes a second, and settings, that is every command, import this module

    basis = randomized_svd(rows, min(DIMENSIONS, *rows.shape), n_iter=2, random_state=seed)[2]
    return (rows @ basis.T).astype(np.float64)


bait = Strategy(margin, _pick)
