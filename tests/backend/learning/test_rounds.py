"""How a round asks its strategy."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from backend.learning import rounds
from backend.learning.rounds import Labelled, Pool, Rules, place_outside_queue, rank, rank_anyway, train
from backend.learning.slots import slot_order
from model import threads as threads_of
from model.heads import selftraining
from strategies import REGISTRY, Strategy, StrategyError, pick
from strategies.query import Query
from tests.strategies.made_up import clusters

SIZE = 30


@pytest.fixture(scope="module")
def made_up():
    """Four overlapping classes: 40 labelled images and a pool of 160."""
    embeddings, classes = clusters([50] * 4, noise=0.8)
    order = np.random.default_rng(0).permutation(200)
    known, rest = order[:40], order[40:]
    everything = np.ones(40)
    labelled = Labelled(known, classes[known], embeddings[known], everything, everything.astype(bool))
    return labelled, pool_of(rest, embeddings[rest])


def pool_of(tasks, embeddings):
    """A pool in which nothing is drawn for the random sample yet."""
    return Pool(tasks, embeddings, 1 + np.argsort(slot_order(tasks)))


def queue(made_up, strategy, explore=0.0, labelled=None):
    known, pool = made_up
    known = known if labelled is None else labelled
    head, _ = train(*made_up, 4)
    return rank(head, pool, known, Rules(strategy, SIZE, explore, batch=5), "al-1").tasks.tolist()


@pytest.mark.parametrize("strategy", [*REGISTRY, "margin+distinct", "badge+distinct+balanced"])
def test_every_strategy_finds_in_a_round_what_it_needs(made_up, strategy):
    assert len(set(queue(made_up, strategy))) == SIZE


@pytest.mark.parametrize(("few", "threads"), [(160, {1}), (159, {2})])
def test_a_strategy_has_one_thread_in_a_pool_so_small_that_more_wait_for_each_other(made_up, few, threads, monkeypatch):
    used = set()

    def watched(_, size):
        used.update(library["num_threads"] for library in threadpool_info())
        return np.arange(size)

    monkeypatch.setitem(REGISTRY, "watched", Strategy(REGISTRY["random"].score, watched))
    monkeypatch.setattr(rounds, "FEW", few)
    threads_of._controller.cache_clear()  # what other tests have loaded since it looked is of no matter here
    with threadpool_limits(2):
        queue(made_up, "watched")
    assert used == threads


def test_the_strategy_sees_embeddings_labels_and_the_batch(made_up):
    labelled, pool = made_up
    head, _ = train(labelled, pool, 4)
    query = Query(
        pool.tasks,
        head.probabilities(pool.embeddings),
        embeddings=pool.embeddings,
        labelled=labelled.embeddings,
        labels=labelled.labels,
        labelled_probabilities=head.probabilities(labelled.embeddings),
        batch=5,
        seed="al-1",
    )
    for strategy in ("typiclust", "k_center+balanced", "bait"):
        assert queue(made_up, strategy) == pool.tasks[pick(strategy, query, SIZE)].tolist()


@pytest.mark.parametrize("strategy", ["bait+distinct", "margin+distinct+balanced", "k_center"])
def test_images_like_those_that_wait_in_the_queue_come_last(made_up, strategy):
    labelled, pool = made_up
    head, _ = train(labelled, pool, 4)
    rules = Rules(strategy, SIZE, 0.0, batch=5)
    first = rank(head, pool, labelled, rules, "al-1").tasks
    waiting = pool.embeddings[np.isin(pool.tasks, first)]
    copies = pool_of(np.append(pool.tasks, 1000 + np.arange(SIZE)), np.vstack([pool.embeddings, waiting]))
    rest = copies.only(~np.isin(copies.tasks, first))
    assert (rank(head, rest, labelled, rules, "al-1").tasks >= 1000).any()
    assert (rank(head, rest, labelled, rules, "al-1", waiting).tasks < 1000).all()


def test_the_committee_disagrees_so_that_bald_is_not_entropy(made_up):
    assert queue(made_up, "bald")[:10] != queue(made_up, "entropy")[:10]
    assert queue(made_up, "bald") == queue(made_up, "bald")


def test_bald_still_ranks_when_every_label_was_taken_back(made_up):
    none = np.zeros(0, np.int64)
    nothing = Labelled(none, none, np.zeros((0, 16), np.float32), none.astype(float), none.astype(bool))
    assert len(queue(made_up, "bald", labelled=nothing)) == SIZE


def test_metrics_carry_what_the_next_labels_are_expected_to_bring(made_up):
    labelled, pool = made_up
    _, metrics = train(labelled, pool, 4)
    low, high = metrics["gain"]["interval"]
    assert metrics["gain"]["labels"] == 40  # no further ahead than doubling the labels
    assert low < metrics["gain"]["macro_f1"] < high


def test_metrics_tell_the_images_behind_each_cell_of_the_confusion_matrix(made_up):
    labelled, pool = made_up
    weights = np.where(np.arange(40) < 20, 1.0, 5.0)
    metrics = train(replace(labelled, weights=weights, unseen=np.arange(40) >= 4), pool, 4)[1]
    judged = metrics["judged"]
    assert judged["tasks"] == labelled.tasks[4:].tolist()
    assert judged["truths"] == labelled.labels[4:].tolist()
    pairs = list(zip(judged["truths"], judged["guesses"], strict=True))
    assert {(truth, guess) for truth, guess, _ in metrics["confusion"]} == set(pairs)
    assert sum(weight for *_, weight in metrics["confusion"]) == pytest.approx(20 * 1 + 20 * 5)


def test_no_gain_is_told_on_few_random_slots_or_without_a_pool(made_up):
    labelled, pool = made_up
    few = replace(labelled, weights=np.where(np.arange(40) < 29, 1.0, 0.0))
    empty = pool.only(np.arange(0))
    assert train(few, pool, 4)[1]["gain"] is None
    assert train(labelled, empty, 4)[1]["gain"] is None


def test_no_further_ahead_than_the_pool_reaches(made_up):
    labelled, pool = made_up
    assert train(labelled, pool.only(np.arange(7)), 4)[1]["gain"]["labels"] == 7


def test_a_round_reads_the_pool_once_for_its_head_its_metrics_and_its_gain(made_up, monkeypatch):
    read, basis = [], selftraining.principal_basis
    monkeypatch.setattr(selftraining, "principal_basis", lambda *args: read.append(1) or basis(*args))
    assert train(*made_up, 4)[1]["gain"]
    assert len(read) == 1


def test_a_round_without_labels_has_no_head(made_up):
    none = np.zeros(0, np.int64)
    nothing = Labelled(none, none, np.zeros((0, 16), np.float32), none.astype(float), none.astype(bool))
    assert train(nothing, made_up[1], 4) == (None, {})


def test_metrics_say_how_many_images_nobody_has_judged_yet(made_up):
    labelled, pool = made_up
    assert train(replace(labelled, unjudged=12), pool, 4)[1]["unjudged"] == 12


def test_images_that_the_backbone_has_seen_leave_their_weight_to_the_others_of_their_stratum(made_up):
    labelled, pool = made_up
    weights = np.where(np.arange(40) < 20, 1.0, 5.0)
    seen = np.arange(40) < 10  # half of the first stratum
    metrics = train(replace(labelled, weights=weights, unseen=~seen), pool, 4)[1]
    assert metrics["n"] == 30
    assert metrics["effective"] == pytest.approx((10 * 2 + 20 * 5) ** 2 / (10 * 2**2 + 20 * 5**2))


def width(metrics):
    low, high = metrics["interval"]
    return high - low


def test_a_few_images_that_stand_for_many_tell_less(made_up):
    labelled, pool = made_up
    lopsided = train(replace(labelled, weights=np.where(np.arange(40) < 3, 100.0, 1.0)), pool, 4)[1]
    assert width(lopsided) > width(train(labelled, pool, 4)[1])
    assert lopsided["gain"] is None


def test_f1_is_that_of_the_images_without_a_label_while_there_are_any(made_up):
    labelled, pool = made_up
    metrics = train(labelled, pool, 4)[1]
    assert metrics["unlabelled"]
    assert metrics["interval"][0] < metrics["macro_f1"] < metrics["interval"][1]
    assert len(metrics["per_class_intervals"]) == 4
    assert not train(labelled, pool.only(np.arange(0)), 4)[1]["unlabelled"]


def test_without_a_random_slot_there_is_no_f1(made_up):
    labelled, pool = made_up
    metrics = train(replace(labelled, weights=np.zeros(40)), pool, 4)[1]
    assert metrics["macro_f1"] is None
    assert not metrics["enough"]


def test_a_refill_gives_slots_from_where_the_queue_ends(made_up):
    labelled, pool = made_up
    head, _ = train(labelled, pool, 4)
    waiting, rest = pool.embeddings[:10], pool.only(np.arange(10, 160))
    rest = replace(rest, turns=6 + np.argsort(np.argsort(rest.turns)))
    refill = rank(head, rest, labelled, Rules("margin", SIZE, 0.1, batch=5), "al-1", waiting)
    assert np.flatnonzero(refill.slots).tolist() == [9, 19, 29]


OWN = """
def far(query):
    return 1 / (1 + query.embeddings.sum(axis=1) ** 2)

def labelled_only(query):
    return query.labelled.sum() * query.probabilities[:, 0]

def broken(query):
    raise RuntimeError("out of ideas")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a module of the user's own."""
    (tmp_path / "own_for_rounds.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield "own_for_rounds"
    sys.modules.pop("own_for_rounds", None)


@pytest.fixture(scope="module")
def head(made_up):
    """What a round learns from the labelled images."""
    return train(*made_up, 4)[0]


def outside(made_up, head, strategy, rows=slice(None)):
    pool = made_up[1]
    return place_outside_queue(head, pool.tasks[rows], pool.embeddings[rows], strategy, "al-1")


def test_a_strategy_of_ones_own_finds_embeddings_outside_the_queue_too(made_up, head, own):
    places, _ = outside(made_up, head, f"{own}:far")
    expected = 1 / (1 + made_up[1].embeddings.sum(axis=1) ** 2)
    assert np.argsort(places).tolist() == np.argsort(expected).tolist()


@pytest.mark.parametrize("function", ["broken", "labelled_only", "gone"])
def test_one_that_fails_outside_the_queue_costs_the_order_alone(made_up, head, own, function, caplog):
    places, probabilities = outside(made_up, head, f"{own}:{function}")
    assert ((places >= 0.5) & (places <= 1)).all()
    assert probabilities.shape == (len(places), 4)
    assert len(caplog.records) == 1


def test_a_task_outside_the_queue_has_the_same_place_alone_as_in_a_batch(made_up, head, own):
    places, _ = outside(made_up, head, f"{own}:far")
    alone, _ = outside(made_up, head, f"{own}:far", slice(3, 4))
    assert alone[0] == pytest.approx(places[3])


@pytest.mark.parametrize("function", ["broken", "gone"])
def test_one_that_fails_in_a_round_leaves_a_queue_of_random_picks_and_is_told(made_up, head, own, function):
    labelled, pool = made_up
    ranking, trouble = rank_anyway(head, pool, labelled, Rules(f"{own}:{function}", SIZE, 0.0, batch=5), "al-1")
    random, _ = rank_anyway(head, pool, labelled, Rules("random", SIZE, 0.0, batch=5), "al-1")
    assert ranking.tasks.tolist() == random.tasks.tolist()
    assert f"{own}:{function}" in trouble
    assert rank_anyway(head, pool, labelled, Rules("margin", SIZE, 0.0, batch=5), "al-1")[1] == ""


def test_a_simulation_hears_of_a_strategy_that_fails(made_up, head, own):
    labelled, pool = made_up
    with pytest.raises(StrategyError, match="out of ideas"):
        rank(head, pool, labelled, Rules(f"{own}:broken", SIZE, 0.0, batch=5), "al-1")


@pytest.mark.parametrize("wrong_value", [np.nan, np.inf, -np.inf])
def test_an_embedding_that_is_not_finite_costs_its_image_alone(made_up, wrong_value, caplog):
    labelled, pool = made_up
    bad_label, bad_image = labelled.embeddings.copy(), pool.embeddings.copy()
    bad_label[3, 5], bad_image[7, 0] = wrong_value, wrong_value
    damaged, rest = replace(labelled, embeddings=bad_label), replace(pool, embeddings=bad_image)
    head, metrics = train(damaged, rest, 4)
    sound = train(labelled.only(np.arange(40) != 3), pool.only(np.arange(160) != 7), 4)[0]
    assert (head.weights == sound.weights).all()
    assert metrics["n"] == 39
    ranking = rank(head, rest, damaged, Rules("bait+distinct", 160, 0.1, batch=5), "al-1")
    assert sorted(ranking.tasks.tolist()) == sorted(np.delete(pool.tasks, 7).tolist())
    assert "1 of 40 images are not finite" in caplog.text


def odd(labels, embeddings):
    """Labelled images, all of the random sample."""
    n = len(labels)
    return Labelled(np.arange(n), np.array(labels, np.int64), embeddings, np.ones(n), np.ones(n, bool))


RANDOM = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
SAME = np.ones((12, 16), np.float32) / 4
ODD = {
    "no label": odd([], RANDOM[:0]),
    "one label": odd([1], RANDOM[:1]),
    "one class": odd([2] * 12, RANDOM),
    "one of each class": odd([0, 1, 2, 3], RANDOM[:4]),
    "one image twice, with two labels": odd([0, 1], SAME[:2]),
    "equal images of four classes": odd([0, 1, 2, 3] * 3, SAME),
    "zero vectors": odd([0, 1] * 6, 0 * SAME),
}


@pytest.mark.parametrize(("size", "alike"), [(0, False), (1, False), (40, False), (40, True)])
@pytest.mark.parametrize("name", ODD)
def test_a_round_comes_to_a_queue_whatever_is_labelled_and_left(made_up, name, size, alike):
    pool = made_up[1].only(np.arange(size))
    pool = replace(pool, tasks=pool.tasks + 1000, embeddings=np.repeat(SAME[:1], size, 0) if alike else pool.embeddings)
    head, metrics = train(ODD[name], pool, 4)
    for strategy in ("bait+distinct", "badge+balanced", "typiclust"):
        ranking = rank(head, pool, ODD[name], Rules(strategy, SIZE, 0.1, batch=5), "al-1")
        assert len(set(ranking.tasks.tolist())) == min(size, SIZE)
        assert ranking.probabilities is None or np.isfinite(ranking.probabilities).all()
    assert metrics.get("n", 0) == len(ODD[name].labels)
