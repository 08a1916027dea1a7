"""Images that people sent to the head of the queue: where they stand, and that the random sample stays fair."""

import numpy as np
import pytest

from backend.learning.ahead import First, at_the_head, rank_behind
from backend.learning.random_sample import random_sample
from backend.learning.rounds import Labelled, Pool, Rules, rank_anyway, train
from backend.learning.slots import slot_order
from tests.strategies.made_up import clusters

RULES = Rules("margin", 30, 0.1, batch=5)
NOBODY = np.zeros(0, np.int64)


@pytest.fixture(scope="module")
def known():
    """Two overlapping classes: 40 labelled images and a pool of 160, of which four are drawn for the random sample by now."""
    embeddings, classes = clusters([100] * 2, noise=0.8)
    order = np.random.default_rng(0).permutation(200)
    told, rest = order[:40], order[40:]
    labelled = Labelled(told, classes[told], embeddings[told], np.ones(40), np.ones(40, bool))
    pool = Pool(rest, embeddings[rest], 1 + np.argsort(slot_order(rest)))
    return train(labelled, pool, 2)[0], pool, labelled


def queue(known, *sent, rules=RULES):
    head, pool, labelled = known
    return rank_behind(head, pool, labelled, rules, "al-1", First(np.array(sent, np.int64)))[0]


def later(pool, count):
    """Tasks whose turn in the random sample is far off."""
    return pool.tasks[np.argsort(-pool.turns)][:count].tolist()


def test_what_was_sent_stands_first_in_the_order_of_sending_and_nothing_twice(known):
    sent = later(known[1], 3)
    ranking = queue(known, *sent)
    assert ranking.tasks[:3].tolist() == sent
    assert len(set(ranking.tasks.tolist())) == len(ranking.tasks) == 33
    assert (np.diff(ranking.places) > 0).all()


def test_no_random_slot_comes_before_what_was_sent(known):
    ranking = queue(known, *later(known[1], 25), rules=Rules("margin", 30, 0.5, batch=5))
    assert not ranking.slots[:25].any()
    assert ranking.slots[25:].any()


def test_the_strategy_takes_what_was_sent_for_labelled(known):
    head, pool, labelled = known
    picked = rank_anyway(head, pool, labelled, Rules("bait", 10, 0.0, batch=5), "al-1")[0].tasks
    behind = queue(known, int(picked[0]), rules=Rules("bait", 10, 0.0, batch=5)).tasks
    assert behind[0] == picked[0]
    assert behind[1:].tolist() != picked.tolist()


def test_a_task_that_is_not_in_the_pool_is_passed_over(known):
    assert queue(known, 99_999).tasks.tolist() == queue(known).tasks.tolist()


def test_what_was_sent_is_a_random_slot_only_where_its_turn_has_come(known):
    _, pool, _ = known
    in_turn = int(pool.tasks[np.argmin(pool.turns)])
    (out_of_turn,) = later(pool, 1)
    ranking = queue(known, out_of_turn, in_turn)
    assert ranking.slots[:2].tolist() == [False, True]


def test_without_random_slots_nothing_that_was_sent_is_one(known):
    _, pool, _ = known
    ranking = queue(known, int(pool.tasks[np.argmin(pool.turns)]), rules=Rules("margin", 30, 0.0, batch=5))
    assert not ranking.slots.any()


def test_an_embedding_that_is_not_finite_is_not_sent(known):
    head, pool, _ = known
    embeddings = pool.embeddings.copy()
    embeddings[3] = np.nan
    damaged = Pool(pool.tasks, embeddings, pool.turns)
    assert at_the_head(head, damaged, First(pool.tasks[3:5]), 40, 0.1).tasks.tolist() == [pool.tasks[4]]


def test_a_pool_that_was_sent_as_a_whole_is_the_queue(known):
    head, pool, labelled = known
    few = pool.only(np.arange(4))
    ranking, trouble = rank_behind(head, few, labelled, RULES, "al-1", First(few.tasks[::-1]))
    assert (ranking.tasks.tolist(), trouble) == (few.tasks[::-1].tolist(), "")


def test_shares_of_the_random_sample_stay_right_when_people_send_only_one_kind_ahead():
    """300 of 1,000 tasks are hard, and every other label is of a hard one that a person sent."""
    shares = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        tasks, hard = 1 + 100_000 * seed + np.arange(1000), random.random(1000) < 0.3
        labelled, skipped = np.zeros(1000, bool), np.zeros(1000, bool)
        sample = random_sample(tasks, labelled, skipped, 0.2, ())
        while labelled.sum() < 300:
            open_hard = np.flatnonzero(~labelled & hard)
            sent = random.choice(open_hard, min(5, len(open_hard)), replace=False)
            slots = np.flatnonzero(~labelled)[np.argsort(sample.turns[~labelled])][:5]
            labelled[sent] = labelled[slots] = True
            sample = random_sample(tasks, labelled, skipped, 0.2, sample.strata)
        shares.append(sample.weights @ hard / sample.weights.sum() - hard.mean())
    assert abs(np.mean(shares)) < 4 * np.std(shares) / np.sqrt(len(shares))
