"""What every strategy in the registry promises, alone and wrapped, whatever its formula."""

import warnings

import numpy as np
import pytest

from strategies import REGISTRY, WRAPPERS, get, pick, score
from strategies.query import Query
from tests.strategies.made_up import normalised, probabilities, query

POINTWISE = [name for name, strategy in REGISTRY.items() if strategy.pick is None]
WRAPPED = [f"{name}+{wrapper}" for name in REGISTRY for wrapper in WRAPPERS]
WRAPPED += ["margin+distinct+balanced", "badge+balanced+distinct"]
every_strategy = pytest.mark.parametrize("name", REGISTRY)
every_name = pytest.mark.parametrize("name", [*REGISTRY, *WRAPPED])
pointwise = pytest.mark.parametrize("name", POINTWISE)
needs_embeddings = pytest.mark.parametrize(
    "name", ["k_center", "badge", "bait", "typiclust", "margin_kmeans", "margin+distinct", "badge+balanced"]
)


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def assert_picks_all(name, q, sizes=(1, 3, 1000)):
    for size in sizes:
        picks = pick(name, q, size)
        assert picks.dtype == np.int64
        assert len(set(picks.tolist())) == len(picks) == min(size, len(q))
        assert picks.min() >= 0
        assert picks.max() < len(q)


@every_strategy
@pytest.mark.parametrize("classes", [1, 2, 3, 1000])
def test_scores_are_one_finite_number_in_0_to_1_for_each_image(name, classes):
    scores = score(name, query(classes=classes))
    assert scores.shape == (50,)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


@every_name
def test_equal_queries_get_equal_scores_and_picks(name):
    assert (score(name, query()) == score(name, query())).all()
    assert pick(name, query(batch=4), 20).tolist() == pick(name, query(batch=4), 20).tolist()


@every_strategy
def test_a_task_scores_the_same_alone_as_in_a_batch_and_needs_no_embedding_for_it(name):
    tasks, p = np.arange(30), probabilities(30, 5)
    alone = [score(name, Query(tasks[i : i + 1], p[i : i + 1], seed="al-1"))[0] for i in range(30)]
    assert alone == score(name, Query(tasks, p, seed="al-1")).tolist()


@every_strategy
def test_a_task_scores_the_same_wherever_it_stands(name):
    q, order = query(), np.random.default_rng(1).permutation(50)
    shuffled = score(name, Query(q.tasks[order], q.probabilities[order], seed=q.seed))
    assert shuffled.tolist() == score(name, q)[order].tolist()


@every_name
def test_a_wrapper_leaves_the_scores_alone(name):
    assert (score(name, query()) == score(name.partition("+")[0], query())).all()


@every_name
def test_a_single_candidate_is_picked(name):
    assert_picks_all(name, query(n=1))


@every_name
def test_an_empty_pool_yields_no_picks(name):
    assert pick(name, query(n=0), 5).tolist() == []


@every_name
def test_no_picks_are_asked_for_and_none_are_given(name):
    assert pick(name, query(), 0).tolist() == []


@every_name
def test_a_single_class_is_picked_from(name):
    assert_picks_all(name, query(classes=1))


@every_name
@pytest.mark.parametrize("batch", [0, 1, 7])
def test_nothing_labelled_yet_is_no_obstacle(name, batch):
    assert_picks_all(name, query(known=0, batch=batch))
    assert_picks_all(name, query(known=0, batch=batch, labelled=None, labels=None))


@every_name
def test_identical_embeddings_are_all_picked(name):
    same = np.full((50, 16), 0.25, np.float32)
    assert_picks_all(name, query(embeddings=same, labelled=same[:3], labels=np.zeros(3, np.int64), batch=5))


@every_name
def test_embeddings_of_nothing_but_zeros_are_all_picked(name):
    none = np.zeros((50, 16), np.float32)
    assert_picks_all(name, query(embeddings=none, labelled=none[:3], labels=np.zeros(3, np.int64), batch=5))


@every_name
def test_certain_images_are_all_picked(name):
    assert_picks_all(name, query(probabilities=np.eye(4)[np.arange(50) % 4], batch=5))


@every_name
def test_ties_everywhere_are_all_picked(name):
    assert_picks_all(name, query(probabilities=np.full((50, 4), 0.25), embeddings=np.repeat(np.eye(16), 4, axis=0)[:50]))


@every_name
@pytest.mark.parametrize("size", [1, 2, 29, 30, 31, 1000])
@pytest.mark.parametrize("batch", [0, 4])
def test_picks_are_as_many_as_asked_for_or_there_are_and_never_repeat(name, size, batch):
    assert_picks_all(name, query(n=30, batch=batch), sizes=[size])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@every_strategy
def test_rounded_probabilities_move_no_score_far(name, dtype):
    p = probabilities(50, 4)
    rounded = score(name, Query(np.arange(50), p.astype(dtype), seed="al-1"))
    assert rounded == pytest.approx(score(name, Query(np.arange(50), p, seed="al-1")), abs=0.003)


@every_name
def test_half_precision_is_picked_from_as_its_float32_copy(name):
    half = query().embeddings.astype(np.float16)
    q = query(embeddings=half, labelled=half[:5], labels=np.zeros(5, np.int64))
    copy = query(embeddings=half.astype(np.float32), labelled=half[:5].astype(np.float32), labels=np.zeros(5, np.int64))
    assert pick(name, q, 20).tolist() == pick(name, copy, 20).tolist()


@every_name
def test_non_contiguous_arrays_are_picked_from_as_their_copies(name):
    tasks, p = np.arange(100)[::2], probabilities(50, 4).repeat(2, axis=1)[:, ::-2]
    embeddings = query().embeddings.repeat(2, axis=0)[::2]
    labelled = embeddings.repeat(2, axis=1)[:6, ::2]
    assert not any(array.flags["C_CONTIGUOUS"] for array in (tasks, p, embeddings, labelled))
    q = query(tasks=tasks, probabilities=p, embeddings=embeddings, labelled=labelled)
    copies = [np.ascontiguousarray(array) for array in (tasks, p, embeddings, labelled)]
    copy = query(tasks=copies[0], probabilities=copies[1], embeddings=copies[2], labelled=copies[3])
    assert pick(name, q, 50).tolist() == pick(name, copy, 50).tolist()


@every_name
def test_a_read_only_memory_map_is_picked_from_as_the_array(name, tmp_path):
    half = query().embeddings.astype(np.float16)
    np.save(tmp_path / "embeddings.npy", half)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    assert pick(name, query(embeddings=mapped), 20).tolist() == pick(name, query(embeddings=half), 20).tolist()


@every_name
def test_the_query_is_left_unchanged(name):
    q = query(batch=3)
    before = [part.copy() for part in (q.tasks, q.probabilities, q.embeddings, q.labelled, q.labels)]
    pick(name, q, 10)
    for part, copy in zip((q.tasks, q.probabilities, q.embeddings, q.labelled, q.labels), before, strict=True):
        assert (part == copy).all()


@pointwise
def test_ties_are_broken_by_the_hash_of_the_task(name):
    q = Query(np.arange(40), np.full((40, 4), 0.25), seed="al-1")
    assert pick(name, q, 40).tolist() == np.argsort(q.hashes).tolist()


@pointwise
def test_picks_come_in_the_order_of_their_scores(name):
    scores = score(name, query())[pick(name, query(), 50)]
    assert (np.diff(scores) >= 0).all()


@pytest.mark.parametrize("name", [*POINTWISE, "bald", "k_center", "badge", "margin+distinct", "margin+balanced"])
def test_a_smaller_batch_is_the_start_of_a_larger_one(name):
    assert pick(name, query(), 7).tolist() == pick(name, query(), 20)[:7].tolist()


@pytest.mark.parametrize("name", ["typiclust", "margin_kmeans"])
def test_what_picks_in_stages_begins_alike_whatever_the_size(name):
    assert pick(name, query(n=200, batch=5), 20)[:5].tolist() == pick(name, query(n=200, batch=5), 100)[:5].tolist()


@pytest.mark.parametrize("name", [name for name in REGISTRY if name not in ("bald", "k_center", "bait")])
def test_ties_fall_otherwise_in_the_next_version(name):
    same = {"probabilities": np.full((40, 4), 0.25), "embeddings": normalised(np.random.default_rng(0).normal(size=(40, 16)))}
    assert pick(name, query(n=40, **same), 40).tolist() != pick(name, query(n=40, seed="al-2", **same), 40).tolist()


@needs_embeddings
def test_a_query_without_embeddings_is_refused(name):
    with pytest.raises(ValueError, match="needs embeddings"):
        pick(name, query(embeddings=None, labelled=None, labels=None), 5)


@needs_embeddings
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_is_refused_by_its_task(name, value):
    embeddings = query().embeddings.copy()
    embeddings[17, 3] = value
    with pytest.raises(ValueError, match=r"embeddings of 1 tasks are not finite \(\[117\]"):
        pick(name, query(embeddings=embeddings), 50)


def test_bald_without_a_committee_is_refused():
    with pytest.raises(ValueError, match="bald needs a committee"):
        pick("bald", query(committee=None), 5)


def test_a_committee_of_the_wrong_shape_is_refused_by_its_shape():
    with pytest.raises(ValueError, match=r"the committee gave shape \(3, 4\) for 50 rows of 4 classes"):
        pick("bald", query(committee=lambda _: np.full((3, 4), 0.25)), 5)


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 2, 1), (0, 2)])
def test_probabilities_that_do_not_fit_three_tasks_are_refused_by_their_shape(shape):
    with pytest.raises(ValueError, match=r"shape .* do not fit tasks of shape"):
        Query(np.arange(3), np.full(shape, 0.5))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"embeddings": np.ones((49, 16))}, r"embeddings of shape \(49, 16\) do not fit tasks of shape \(50,\)"),
        ({"embeddings": np.ones(50)}, r"embeddings of shape \(50,\) do not fit"),
        ({"labelled": np.ones((6, 15))}, r"labelled of shape \(6, 15\) does not fit embeddings of shape \(50, 16\)"),
        ({"labelled": np.ones(6), "labels": None}, r"labelled of shape \(6,\) does not fit"),
        ({"labels": np.zeros(5, np.int64)}, r"labels of shape \(5,\) do not fit labelled of shape \(6, 16\)"),
        ({"labels": np.array([0, 1, 2, 3, 4, 0])}, "labels run from 0 to 4, outside the 4 classes"),
        ({"labels": np.array([0, 1, 2, 3, -1, 0])}, "labels run from -1 to 3"),
        ({"batch": -1}, "batch=-1"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_shapes(parts, message):
    with pytest.raises(ValueError, match=message):
        query(**({"committee": None} | parts))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.01, 1.01])
def test_a_value_that_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="must be finite, in"):
        Query(np.arange(2), np.array([[0.5, 0.5], [value, 0.5]]))


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.zeros((1, 2)), np.full((1, 3), 0.2)])
def test_rows_that_do_not_sum_to_one_are_refused(rows):
    with pytest.raises(ValueError, match="sum to 1"):
        Query(np.array([1]), rows)


def test_an_unknown_strategy_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"strategy 'best' is unknown.*random, least_confidence, margin, entropy.*typiclust"):
        score("best", query())


def test_an_unknown_wrapper_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"\+wide is unknown.*\+distinct, \+balanced"):
        get("margin+wide")
