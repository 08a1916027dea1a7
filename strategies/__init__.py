"""Query strategies: arrays in, scores out. The LOWEST score is labelled first. No disk, no network.

Adding a strategy is one file and one line in REGISTRY and REASONS each; a wrapper is one file and one line in WRAPPERS.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strategies.badge import badge
from strategies.bait import bait
from strategies.balanced import balanced
from strategies.bald import bald
from strategies.distinct import distinct
from strategies.entropy import entropy
from strategies.k_center import k_center
from strategies.least_confidence import least_confidence
from strategies.margin import margin
from strategies.margin_kmeans import margin_kmeans
from strategies.own import load
from strategies.query import Query
from strategies.random import random
from strategies.strategy import Strategy, StrategyError
from strategies.trial import try_out
from strategies.typiclust import typiclust

__all__ = ["REASONS", "REGISTRY", "WRAPPERS", "Query", "Strategy", "StrategyError", "get", "pick", "score", "try_strategy"]

REGISTRY: dict[str, Strategy] = {
    "random": Strategy(random, headless=True),
    "least_confidence": Strategy(least_confidence),
    "margin": Strategy(margin),
    "entropy": Strategy(entropy),
    "bald": bald,
    "k_center": k_center,
    "badge": badge,
    "bait": bait,
    "typiclust": typiclust,
    "margin_kmeans": margin_kmeans,
}

REASONS: dict[str, str] = {
    "random": "drawn at random",
    "least_confidence": "among those of whose class the head is least sure",
    "margin": "among those whose two best classes are closest",
    "entropy": "among those that could be most classes",
    "bald": "heads that learned other draws of the labels disagree on it",
    "k_center": "far from all that is labelled or picked before",
    "badge": "its label would change the head much, and otherwise than the picks before",
    "bait": "its label makes the head surer of the whole pool",
    "typiclust": "typical of images of which few are labelled",
    "margin_kmeans": "among the most uncertain, and unlike the others of these",
}  # why a strategy picks an image, for those who label it

WRAPPERS: dict[str, Callable[[Strategy], Strategy]] = {
    "distinct": distinct,
    "balanced": balanced,
}


def get(name: str) -> Strategy:
    """The strategy `name`: one of REGISTRY, or `module:function` of your own, each with wrappers as suffixes, the innermost
    first: "margin+distinct", "badge+distinct+balanced", "my_strategies:novelty+balanced".

    A function of your own takes a Query and returns its scores, or is a Strategy. Raises StrategyError with the names there
    are, or with what failed to import and where it is looked up.
    """
    base, *wrappers = name.split("+")
    if ":" in base:
        strategy = load(base)
    elif base in REGISTRY:
        strategy = REGISTRY[base]
    else:
        raise StrategyError(f"strategy {name!r} is unknown. There are: {', '.join(REGISTRY)}, or your own as module:function.")
    for wrapper in wrappers:
        if wrapper not in WRAPPERS:
            raise StrategyError(f"strategy {name!r}: +{wrapper} is unknown. There are: {', '.join(f'+{w}' for w in WRAPPERS)}.")
        strategy = WRAPPERS[wrapper](strategy)
    return strategy


def score(name: str, query: Query) -> NDArray[np.float64]:
    """Pointwise scores of shape (N,) in [0, 1] under the strategy `name`. Raises StrategyError on an unknown name."""
    return get(name).score(query)


def pick(name: str, query: Query, size: int) -> NDArray[np.int64]:
    """Indices of the `size` images to label first, int64, best first. Raises StrategyError on an unknown name, and where the
    strategy needs what the query does not hold."""
    return get(name).order(query, size)


def try_strategy(name: str) -> None:
    """Try the strategy `name` on a small pool, so that one that cannot work is refused before it is used. Raises StrategyError,
    which says what is wrong."""
    try_out(name, get(name))
