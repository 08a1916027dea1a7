"""A strategy tried on a small pool, before anything is left to it."""

import numpy as np

from strategies.query import Query
from strategies.strategy import Strategy, StrategyError

POOL, LABELLED, CLASSES, DIMENSIONS, PICKS = 12, 4, 2, 2048, 5


def try_out(name: str, strategy: Strategy) -> None:
    """Let `strategy` score and order a small pool that holds everything a strategy may ask for.

    Raises StrategyError, which names it as `name`, where it fails or gives nothing to pick.
    """
    query = small_query()
    try:
        strategy.score(query)
        picks = strategy.order(query, PICKS)
    except StrategyError:
        raise
    except Exception as error:
        raise StrategyError(f"strategy {name!r} fails on a small pool ({type(error).__name__}: {error})") from error
    if not len(picks):
        raise StrategyError(f"strategy {name!r} picks nothing of a pool of {POOL} images")


def small_query() -> Query:
    """A made-up pool, always the same, with embeddings as wide as ResNet50's."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(POOL + LABELLED, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    probabilities = random.dirichlet(np.ones(CLASSES), POOL + LABELLED).astype(np.float32)
    return Query(
        np.arange(1, POOL + 1),
        probabilities[:POOL],
        embeddings=vectors[:POOL],
        labelled=vectors[POOL:],
        labels=np.arange(LABELLED) % CLASSES,
        labelled_probabilities=probabilities[POOL:],
        committee=lambda rows: np.stack([probabilities[:POOL][rows]] * 3),
        batch=2,
        seed="trial",
    )
