"""Strategies of the user's own, as module:function in the working directory."""

import sys

import numpy as np
import pytest

from strategies import REGISTRY, StrategyError, get, pick, score, try_strategy
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
def raises(query):
    raise KeyError("no such thing")

def leaves(query):
    raise SystemExit(3)

class Speechless(BaseException):
    def __str__(self):
        raise ValueError

def cannot_say(query):
    raise Speechless

def talks(query):
    raise ValueError("x" * 100_000)

def sets_errors(query):
    np.seterr(all="raise")
    return query.probabilities[:, 0]

def writes(query):
    query.probabilities[:] = 0
    return query.probabilities[:, 0]

def needs_embeddings(query):
    return 1 / (1 + query.embeddings.sum(axis=1) ** 2)

def ragged(query):
    return [[1], [1, 2]]

def objects(query):
    return np.array([0.5] * len(query), object)

def imaginary(query):
    return np.full(len(query), 0.5 + 0j)

def infinite(query):
    return np.full(len(query), np.inf)

def takes_nothing():
    return []

no_score = Strategy(7)
picks_nothing = Strategy(last_class, lambda query, size: [])
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
        ("infinite", r"returned inf for task 100"),
        ("objects", r"returned object of shape"),
        ("imaginary", r"returned complex128 of shape"),
        ("raises", r"failed: KeyError: 'no such thing' in .*my_own_strategies.py, line \d+"),
        ("leaves", r"failed: SystemExit: 3"),
        ("cannot_say", r"failed: Speechless: which cannot say what it is in"),
        ("talks", r"failed: ValueError: x{500} in"),
        ("writes", r"failed: ValueError: assignment destination is read-only"),
        ("ragged", r"failed: ValueError"),
        ("takes_nothing", r"failed: TypeError: .* takes 0 positional arguments"),
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


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    "source",
    [
        "class Odd(BaseException): ...\nraise Odd",
        "import sys; sys.exit(2)",
        "def f(:",
        "raise SystemExit",
        "1 / 0",
        "\x00",
        "é".encode("latin-1"),
    ],
)
def test_whatever_an_import_raises_is_named(tmp_path, source):
    (tmp_path / "my_odd_module.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(StrategyError, match="'my_odd_module' cannot be imported"):
        get("my_odd_module:f")


def test_the_query_can_be_written_to_again_afterwards(mine):
    asked = query()
    with pytest.raises(StrategyError):
        score(f"{mine}:writes", asked)
    assert asked.probabilities.flags.writeable


def test_what_numpy_does_about_errors_is_as_before_afterwards(mine):
    before = np.geterr()
    score(f"{mine}:sets_errors", query())
    assert np.geterr() == before


@pytest.mark.parametrize("name", [*REGISTRY, "margin+distinct", "badge+distinct+balanced"])
def test_a_trial_takes_every_strategy_there_is(name):
    try_strategy(name)


@pytest.mark.parametrize("function", ["last_class", "needs_embeddings", "backwards", "fewer", "backwards+distinct"])
def test_a_trial_takes_one_of_your_own_that_works(mine, function):
    try_strategy(f"{mine}:{function}")


@pytest.mark.parametrize(
    "function", ["raises", "leaves", "percent", "too_many", "takes_nothing", "picks_nothing", "raises+distinct"]
)
def test_a_trial_refuses_one_that_fails(mine, function):
    with pytest.raises(StrategyError, match=f"{mine}:"):
        try_strategy(f"{mine}:{function}")


@pytest.mark.parametrize("name", ["os:getcwd", "json:dumps", "time:time", "nowhere:f", "nonsense", "margin+nonsense"])
def test_a_trial_refuses_what_is_no_strategy(name):
    with pytest.raises(StrategyError):
        try_strategy(name)


@pytest.mark.parametrize("attribute", ["missing", "number", "no_score", ""])
def test_what_is_no_function_is_named(mine, attribute):
    with pytest.raises(ValueError, match=rf"has no function or Strategy '{attribute}'"):
        get(f"{mine}:{attribute}")


@pytest.mark.parametrize("name", [":function", ":"])
def test_a_name_without_a_module_is_refused(name):
    with pytest.raises(ValueError, match="cannot be imported"):
        get(name)
