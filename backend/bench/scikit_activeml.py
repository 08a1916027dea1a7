"""Strategies of ours against those of scikit-activeml, on the same pool in the same run."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from statistics import median

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from backend.bench.figures import Bench, Row
from strategies import pick
from strategies.query import Query

POOL, DIMENSIONS, CLASSES, LABELLED, PICKS = 20_000, 512, 10, 100, 100
GOAL = 20.0  # times as fast
ATTEMPTS = 5  # of ours, which take a fraction of a second; theirs take seconds to minutes
NAMES = ("k_center", "badge", "typiclust")
ROWS = tuple(f"strategies.over_scikit_activeml.{name}" for name in NAMES)


def over_scikit_activeml(bench: Bench) -> Iterator[Row]:
    """Their seconds over ours, for as many picks of the same pool; no rows where it is not installed."""
    wanted = [name for name, row in zip(NAMES, ROWS, strict=True) if bench.wants(row)]
    if not wanted:
        return
    try:
        import skactiveml.pool  # noqa: F401
    except ImportError:
        bench.say("  over scikit-activeml: skipped, as it is not installed: pip install scikit-activeml==1.0.0")
        return
    against = f"scikit-activeml {version('scikit-activeml')}, {PICKS} picks from {POOL:,} x {DIMENSIONS}, one thread each"
    embeddings, labels = in_clusters()
    head = LogisticRegression(C=10, max_iter=1000).fit(embeddings[POOL:], labels)
    query = Query(
        np.arange(POOL),
        head.predict_proba(embeddings[:POOL]),
        embeddings=embeddings[:POOL],
        labelled=embeddings[POOL:],
        labels=labels,
    )
    for name in wanted:
        bench.say(f"  {name} over scikit-activeml ...")
        pick(name, query, PICKS)  # imports
        with threadpool_limits(1):  # threads that wait for each other on a busy machine would be what is measured
            ours = median(_seconds(partial(pick, name, query, PICKS)) for _ in range(ATTEMPTS))
            theirs = _seconds(_theirs(name, embeddings, labels, head))
        yield Row.at_least(f"strategies.over_scikit_activeml.{name}", theirs / ours, "x", against, GOAL)


def in_clusters() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings in clusters, those of the pool and then the labelled ones, and the classes of these, which are clusters."""
    random = np.random.default_rng(0)
    of = np.concatenate([random.integers(5 * CLASSES, size=POOL), np.arange(LABELLED) % (5 * CLASSES)])
    centres = random.standard_normal((5 * CLASSES, DIMENSIONS), np.float32)
    embeddings = centres[of] + random.standard_normal((len(of), DIMENSIONS), np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), of[POOL:] % CLASSES


def _theirs(
    name: str, embeddings: NDArray[np.float32], labels: NDArray[np.int64], head: LogisticRegression
) -> Callable[[], object]:
    """A query of theirs for PICKS, of embeddings whose last have `labels`. BADGE is given the head as it was fitted."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, TypiClust

    y = np.concatenate([np.full(POOL, np.nan), labels])
    if name == "badge":
        classifier = SklearnClassifier(head, classes=range(CLASSES)).fit(embeddings, y)
        return lambda: Badge(random_state=0).query(embeddings, y, classifier, fit_clf=False, batch_size=PICKS)
    strategy = {"k_center": CoreSet, "typiclust": TypiClust}[name](random_state=0)
    return lambda: strategy.query(embeddings, y, batch_size=PICKS)


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
