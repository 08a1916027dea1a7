"""BALD (Houlsby 1112.5745, Gal 1703.02910): the image on which a committee of heads disagrees most."""

import numpy as np
from numpy.typing import NDArray

from strategies.arrays.chunks import chunks, side_by_side
from strategies.entropy import binary, entropy, shannon
from strategies.query import Query
from strategies.strategy import Strategy, lowest

T = 10  # members a committee has as a rule; only sets how many rows are asked for at once


def _pick(query: Query, size: int) -> NDArray[np.int64]:
    return lowest(disagreement(query), query.hashes, size)


def disagreement(query: Query) -> NDArray[np.float64]:
    """1 - [H(mean p_t) - mean H(p_t)] / ln C over the committee's heads t, of shape (N,) in [0, 1]: 0 where they disagree
    most, 1 where they agree. O(NCT), in chunks of rows. Where classes are independent, H is the mean entropy of the C answers
    yes or no, and ln 2 stands for ln C. Raises ValueError without a committee or where its shape is wrong."""
    if query.committee is None:
        raise ValueError("bald needs a committee, and the query has none: give it one that returns probabilities (T, n, C)")
    classes = query.probabilities.shape[1]
    if classes == 1 and not query.independent:
        return np.ones(len(query))
    scores = np.ones(len(query))
    committee, uncertainty = query.committee, binary if query.independent else shannon
    most = np.log(2 if query.independent else classes)

    def ask(rows: slice) -> None:
        p = committee(rows)
        if p.ndim != 3 or p.shape[1:] != (rows.stop - rows.start, classes):
            raise ValueError(f"the committee gave shape {p.shape} for {rows.stop - rows.start} rows of {classes} classes")
        information = uncertainty(p.mean(axis=0, dtype=np.float64)) - uncertainty(p).mean(axis=0)
        scores[rows] = 1 - information / most

    side_by_side(ask, chunks(len(query), max(T * classes, _width(query))))
    return np.clip(scores, 0, 1)


def _width(query: Query) -> int:
    return query.embeddings.shape[1] if query.embeddings is not None else 0  # the committee reads these


bald = Strategy(entropy, _pick)  # a task by itself has no committee at hand
