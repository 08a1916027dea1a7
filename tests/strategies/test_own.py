"""Strategies of the user's own, as module:function in the working directory."""

import sys

import numpy as np
import pytest

from strategies import get, pick, score
from tests.strategies.made_up import query

SOURCE = """
import numpy as np
from strategies import Strategy

def last_class(query):
    return query.probabilities[:, -1]

def text(query):
    return ["a"] * len(query)

def one(query):
    return np.zeros(1)

def percent(query):
    return 100 * query.probabilities[:, 0]

def nothing(query):
    return np.full(len(query), np.nan)

backwards = Strategy(last_class, lambda query, size: list(range(len(query)))[::-1][:size])
too_many = Strategy(last_class, lambda query, size: np.arange(size + 1))
beyond = Strategy(last_class, lambda query, size: [len(query)])
below = Strategy(last_class, lambda query, size: [-1])
twice = Strategy(last_class, lambda query, size: [3, 3])
fractions = Strategy(last_class, lambda query, size: np.array([0.5]))
fewer = Strategy(last_class, lambda query, size: np.arange(3))
number = 7
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The name of a module in the working directory, which `python -m` would have on its path."""
    (tmp_path / "my_own_strategies.py").write_text(SOURCE)
    (tmp_path / "my_broken_strategies.py").write_text("import nowhere_to_be_found")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield "my_own_strategies"
    sys.modules.pop("my_own_strategies", None)


def test_a_function_gives_scores_and_picks_the_lowest(mine):
    scores = score(f"{mine}:last_class", query())
    assert scores.tolist() == query().probabilities[:, -1].tolist()
    assert pick(f"{mine}:last_class", query(), 50).tolist() == np.argsort(scores).tolist()


def test_a_strategy_gives_its_own_order(mine):
    assert pick(f"{mine}:backwards", query(), 3).tolist() == [49, 48, 47]


def test_one_of_your_own_can_be_wrapped(mine):
    assert len(set(pick(f"{mine}:backwards+distinct+balanced", query(), 30).tolist())) == 30


def test_fewer_picks_than_asked_for_are_allowed(mine):
    assert pick(f"{mine}:fewer", query(), 10).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("text", r"returned <U1 of shape \(50,\), not a score for each of 50 tasks"),
        ("one", r"returned float64 of shape \(1,\)"),
        ("percent", r"returned [\d.]+ for task \d+: scores must be in \[0, 1\]"),
        ("nothing", r"returned nan for task 100"),
        ("too_many", "returned 6 picks where at most 5"),
        ("beyond", "returned indices from 50 to 50; the pool has 0 to 49"),
        ("below", "returned indices from -1"),
        ("twice", "returned the same index more than once"),
        ("fractions", "returned float64"),
    ],
)
def test_what_it_returns_is_checked_and_the_strategy_named(mine, function, message):
    with pytest.raises(ValueError, match=f"{mine}:{function} {message}"):
        pick(f"{mine}:{function}", query(), 5)


@pytest.mark.usefixtures("mine")
def test_a_module_that_is_not_there_is_named_with_the_places_looked_at(tmp_path):
    with pytest.raises(ValueError, match=rf"'not_there' cannot be imported .*No module.*looked up in {tmp_path}"):
        get("not_there:function")


@pytest.mark.usefixtures("mine")
def test_a_module_that_fails_is_named_with_its_error():
    with pytest.raises(ValueError, match=r"'my_broken_strategies' cannot be imported .*nowhere_to_be_found"):
        get("my_broken_strategies:function")


@pytest.mark.parametrize("attribute", ["missing", "number", ""])
def test_what_is_no_function_is_named(mine, attribute):
    with pytest.raises(ValueError, match=rf"has no function or Strategy '{attribute}'"):
        get(f"{mine}:{attribute}")


@pytest.mark.parametrize("name", [":function", ":"])
def test_a_name_without_a_module_is_refused(name):
    with pytest.raises(ValueError, match="cannot be imported"):
        get(name)
