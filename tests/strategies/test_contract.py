"""What every strategy in the registry promises, whatever its formula."""

import numpy as np
import pytest

from strategies import REGISTRY, pick, score
from strategies.query import Query

every_strategy = pytest.mark.parametrize("name", REGISTRY)


def probabilities(n, classes, seed=0):
    """Random rows, from nearly certain to nearly uniform."""
    random = np.random.default_rng(seed)
    return np.vstack([random.dirichlet(np.full(classes, c)) for c in np.geomspace(0.05, 50, n)])


def query(n=50, classes=4, seed="al-1"):
    return Query(np.arange(100, 100 + n), probabilities(n, classes), seed)


@every_strategy
@pytest.mark.parametrize("classes", [1, 2, 3, 1000])
def test_scores_are_one_finite_number_in_0_to_1_for_each_image(name, classes):
    scores = score(name, query(classes=classes))
    assert scores.shape == (50,)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


@every_strategy
def test_equal_queries_get_equal_scores(name):
    assert (score(name, query()) == score(name, query())).all()


@every_strategy
def test_a_task_scores_the_same_alone_as_in_a_batch(name):
    tasks, p = np.arange(30), probabilities(30, 5)
    alone = [score(name, Query(tasks[i : i + 1], p[i : i + 1], "al-1"))[0] for i in range(30)]
    assert alone == score(name, Query(tasks, p, "al-1")).tolist()


@every_strategy
def test_a_task_scores_the_same_wherever_it_stands(name):
    q, order = query(), np.random.default_rng(1).permutation(50)
    shuffled = score(name, Query(q.tasks[order], q.probabilities[order], q.seed))
    assert shuffled.tolist() == score(name, q)[order].tolist()


@every_strategy
def test_a_single_candidate_is_picked(name):
    assert pick(name, query(n=1), 1).tolist() == [0]


@every_strategy
def test_an_empty_pool_yields_no_picks(name):
    assert pick(name, Query(np.zeros(0, np.int64), np.zeros((0, 3)), "al-1"), 5).tolist() == []


@every_strategy
def test_a_single_class_is_scored(name):
    assert np.isfinite(score(name, Query(np.arange(5), np.ones((5, 1)), "al-1"))).all()


@every_strategy
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rounded_probabilities_move_no_score_far(name, dtype):
    p = probabilities(50, 4)
    rounded = score(name, Query(np.arange(50), p.astype(dtype), "al-1"))
    assert rounded == pytest.approx(score(name, Query(np.arange(50), p, "al-1")), abs=0.003)


@every_strategy
def test_non_contiguous_arrays_are_scored_as_their_copies(name):
    tasks, wide = np.arange(100)[::2], probabilities(50, 4).repeat(2, axis=1)[:, ::-2]
    assert not wide.flags["C_CONTIGUOUS"]
    copies = Query(tasks.copy(), np.ascontiguousarray(wide), "al-1")
    assert score(name, Query(tasks, wide, "al-1")).tolist() == score(name, copies).tolist()


@every_strategy
def test_the_query_is_left_unchanged(name):
    q = query()
    before = q.probabilities.copy()
    pick(name, q, 10)
    assert (q.probabilities == before).all()


@every_strategy
def test_ties_are_broken_by_the_hash_of_the_task(name):
    q = Query(np.arange(40), np.full((40, 4), 0.25), "al-1")
    assert pick(name, q, 40).tolist() == np.argsort(q.hashes).tolist()


@every_strategy
@pytest.mark.parametrize("size", [1, 2, 29, 30, 31, 1000])
def test_picks_are_as_many_as_asked_for_or_there_are_and_never_repeat(name, size):
    picks = pick(name, query(n=30), size)
    assert len(set(picks.tolist())) == len(picks) == min(size, 30)


@every_strategy
def test_picks_come_in_the_order_of_their_scores(name):
    scores = score(name, query())[pick(name, query(), 50)]
    assert (np.diff(scores) >= 0).all()


@every_strategy
def test_a_smaller_batch_is_the_start_of_a_larger_one(name):
    assert pick(name, query(), 7).tolist() == pick(name, query(), 20)[:7].tolist()


@every_strategy
def test_ties_fall_otherwise_in_the_next_version(name):
    tied = [Query(np.arange(40), np.full((40, 4), 0.25), seed) for seed in ("al-1", "al-2")]
    assert pick(name, tied[0], 40).tolist() != pick(name, tied[1], 40).tolist()


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 2, 1), (0, 2)])
def test_probabilities_that_do_not_fit_three_tasks_are_refused_by_their_shape(shape):
    with pytest.raises(ValueError, match=r"shape .* do not fit tasks of shape"):
        Query(np.arange(3), np.full(shape, 0.5))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.01, 1.01])
def test_a_value_that_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="must be finite, in"):
        Query(np.arange(2), np.array([[0.5, 0.5], [value, 0.5]]))


def test_an_unknown_strategy_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"STRATEGY='best' is unknown.*random, least_confidence, margin, entropy"):
        score("best", query())


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.zeros((1, 2)), np.full((1, 3), 0.2)])
def test_rows_that_do_not_sum_to_one_are_refused(rows):
    with pytest.raises(ValueError, match="sum to 1"):
        Query(np.array([1]), rows)
