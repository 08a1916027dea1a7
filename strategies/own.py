"""A strategy of the user's own, named `module:function`: imported, and what it returns checked."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from traceback import extract_tb

import numpy as np
from numpy.typing import NDArray

from strategies.query import Query
from strategies.strategy import Pick, Score, Strategy, StrategyError


def load(name: str) -> Strategy:
    """The strategy `name`, `module:function`, looked up in the working directory and among the installed packages.

    The function takes a Query and returns scores, or it is a Strategy. Raises StrategyError saying what failed, and where.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # for good: the module may import its neighbours later
    try:
        module = importlib.import_module(module_name)
        found = getattr(module, attribute, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's module raises, a script's exit() too
        raise StrategyError(
            f"strategy {name!r}: {module_name!r} cannot be imported ({_described(error)}). "
            f"It is looked up in {here} and among the installed packages."
        ) from error
    if isinstance(found, Strategy) and callable(found.score) and (found.pick is None or callable(found.pick)):
        return replace(
            found, score=_checked_score(name, found.score), pick=_checked_pick(name, found.pick) if found.pick else None
        )
    if callable(found):
        return Strategy(_checked_score(name, found))
    raise StrategyError(
        f"strategy {name!r}: {getattr(module, '__file__', None) or module_name} has no function or Strategy {attribute!r}; "
        "write module:function, where the function takes a Query and returns scores."
    )


def _checked_score(name: str, function: Score) -> Score:
    def score(query: Query) -> NDArray[np.float64]:
        scores = _array(name, function, query)
        if scores.shape != (len(query),) or scores.dtype.kind not in "iuf":
            raise StrategyError(
                f"{name} returned {scores.dtype} of shape {scores.shape}, not a score for each of {len(query)} tasks"
            )
        wrong = ~((scores >= 0) & (scores <= 1))  # NaN is neither
        if wrong.any():
            raise StrategyError(
                f"{name} returned {scores[wrong][0]} for task {query.tasks[wrong][0]}: scores must be in [0, 1]"
            )
        return scores.astype(np.float64)

    return score


def _checked_pick(name: str, function: Pick) -> Pick:
    def pick(query: Query, size: int) -> NDArray[np.int64]:
        picks = _array(name, function, query, size)
        if picks.ndim != 1 or not (np.issubdtype(picks.dtype, np.integer) or not len(picks)):
            raise StrategyError(f"{name} returned {picks.dtype} of shape {picks.shape}, not a row of indices")
        if len(picks) > size:
            raise StrategyError(f"{name} returned {len(picks)} picks where at most {size} were asked for")
        if len(picks) and (picks.min() < 0 or picks.max() >= len(query)):
            raise StrategyError(
                f"{name} returned indices from {picks.min()} to {picks.max()}; the pool has 0 to {len(query) - 1}"
            )
        if len(np.unique(picks)) < len(picks):
            raise StrategyError(f"{name} returned the same index more than once")
        return picks.astype(np.int64)

    return pick


def _array(name: str, function: Callable[..., object], query: Query, *more: int) -> NDArray:
    """What the user's `function` returns, as an array. It may not change the query. Raises StrategyError where it fails."""
    try:
        with _read_only(query):
            return np.asarray(function(query, *more))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        last = extract_tb(error.__traceback__)[-1]
        place = "" if last.filename == __file__ else f" in {last.filename}, line {last.lineno}"
        raise StrategyError(f"strategy {name} failed: {_described(error)}{place}") from error


@contextmanager
def _read_only(query: Query) -> Iterator[None]:
    """Keep the query's arrays, and what NumPy does about errors, from being changed: the round goes on with them."""
    arrays = [value for entry in fields(query) if isinstance(value := getattr(query, entry.name, None), np.ndarray)]
    writeable = [array for array in arrays if array.flags.writeable]
    for array in writeable:
        array.flags.writeable = False
    try:
        with np.errstate():  # what it sets ends with it
            yield
    finally:
        for array in writeable:
            array.flags.writeable = True


def _described(error: BaseException) -> str:
    """An exception in one line of at most 500 characters."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  its own __str__ may fail too
        text = "which cannot say what it is"
    return f"{type(error).__name__}: {text[:500]}"
