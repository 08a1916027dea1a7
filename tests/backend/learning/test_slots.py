"""Random slots: their order, the sample they make, and their share of the queue."""

import numpy as np
import pytest
import scipy.stats

from backend.learning.slots import interleave, random_sample, slot_order

NOTHING = np.zeros(0, np.int64)


def tasks_in_slot_order(n, start=1):
    tasks = np.arange(start, start + n)
    return tasks[slot_order(tasks)]


def done_at(n, *places):
    """Tasks in slot order, and which are done: those at `places` of the order."""
    done = np.zeros(n, bool)
    done[list(places)] = True
    return tasks_in_slot_order(n), done


def test_the_slot_order_does_not_depend_on_how_tasks_are_listed():
    tasks = np.random.default_rng(0).permutation(np.arange(500))
    assert tasks[slot_order(tasks)].tolist() == tasks_in_slot_order(500, start=0).tolist()


def test_the_slot_order_of_the_rest_stays_when_tasks_are_deleted():
    kept = np.arange(1, 101)[::3]
    left = [task for task in tasks_in_slot_order(100).tolist() if task in set(kept.tolist())]
    assert kept[slot_order(kept)].tolist() == left


def test_the_first_slots_are_uniform_over_the_ids():
    first = tasks_in_slot_order(100_000)[:2000]
    assert scipy.stats.kstest(first / 100_000, "uniform").pvalue > 0.001


def test_the_sample_is_the_labelled_start_of_the_slot_order():
    tasks, done = done_at(100, *range(12))
    assert np.flatnonzero(random_sample(tasks, done)).tolist() == list(range(12))


def test_the_sample_follows_the_slot_order_however_tasks_are_listed():
    tasks = np.arange(1, 101)
    done = np.isin(tasks, tasks_in_slot_order(100)[:12])
    assert (random_sample(tasks, done) == done).all()


def test_labelled_tasks_far_down_the_order_are_no_part_of_the_sample():
    tasks, done = done_at(1000, *range(10), *range(500, 600))
    assert np.flatnonzero(random_sample(tasks, done)).tolist() == list(range(10))


@pytest.mark.parametrize("open_place", range(10))
def test_one_undone_task_in_ten_does_not_hold_the_sample_up(open_place):
    done_places = [place for place in range(20) if place != open_place]
    tasks, done = done_at(100, *done_places)
    assert np.flatnonzero(random_sample(tasks, done)).tolist() == done_places


def test_two_undone_tasks_in_ten_end_the_sample():
    tasks, done = done_at(100, *range(5), 7, 8, 9)
    assert random_sample(tasks, done).sum() == 5


@pytest.mark.parametrize("n", [0, 1, 10])
def test_nothing_done_makes_no_sample(n):
    assert random_sample(tasks_in_slot_order(n), np.zeros(n, bool)).tolist() == [False] * n


def test_everything_done_is_all_in_the_sample():
    assert random_sample(tasks_in_slot_order(70), np.ones(70, bool)).all()


def test_labels_of_a_strategy_do_not_bias_the_sample():
    """A strategy labels only even ids; the sample made by slots still holds odd ones as often."""
    tasks = tasks_in_slot_order(20_000)
    done = (np.arange(20_000) < 1500) | ((tasks % 2 == 0) & (tasks < 4000))
    odd = tasks[random_sample(tasks, done)] % 2
    assert scipy.stats.binomtest(int(odd.sum()), len(odd), 0.5).pvalue > 0.001


def merge(size, share, picks=None, slots=None, labelled=0, sampled=0):
    picks = np.arange(100) if picks is None else np.array(picks, np.int64)
    slots = np.arange(1000, 1100) if slots is None else np.array(slots, np.int64)
    return interleave(picks, slots, size, share, labelled, sampled)


def test_a_tenth_of_the_queue_are_slots():
    assert merge(50, 0.1)[1].sum() == 5


def test_without_exploring_there_are_no_slots():
    tasks, is_slot = merge(20, 0.0, labelled=500)
    assert tasks.tolist() == list(range(20))
    assert not is_slot.any()


def test_with_nothing_but_exploring_there_are_only_slots():
    tasks, is_slot = merge(20, 1.0, labelled=30, sampled=30)
    assert tasks.tolist() == list(range(1000, 1020))
    assert is_slot.all()


def test_picks_and_slots_keep_their_own_order():
    tasks, is_slot = merge(50, 0.3)
    assert (np.diff(tasks[is_slot]) > 0).all()
    assert (np.diff(tasks[~is_slot]) > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_task_that_is_pick_and_slot_stands_in_the_queue_once(share):
    tasks, _ = merge(100, share, picks=range(60), slots=range(59, -1, -1))
    assert sorted(tasks.tolist()) == list(range(60))


@pytest.mark.parametrize("size", [0, 1, 3, 19])
def test_the_queue_is_never_longer_than_its_size(size):
    tasks, is_slot = merge(size, 0.5)
    assert len(tasks) == len(is_slot) == size


def test_slots_fill_the_queue_where_picks_run_dry():
    tasks, is_slot = merge(20, 0.1, picks=[1, 2])
    assert sorted(tasks.tolist()) == [1, 2, *range(1000, 1018)]
    assert is_slot.sum() == 18


def test_picks_fill_the_queue_where_slots_run_dry():
    tasks, is_slot = merge(20, 0.5, slots=[1000])
    assert sorted(tasks.tolist()) == [*range(19), 1000]
    assert is_slot.sum() == 1


def test_an_empty_pool_makes_an_empty_queue():
    tasks, is_slot = interleave(NOTHING, NOTHING, 10, 0.1, 5, 0)
    assert (tasks.shape, is_slot.shape, tasks.dtype) == ((0,), (0,), np.int64)


def test_a_sample_that_lags_far_behind_asks_for_one_slot_at_once_and_not_for_many():
    assert merge(10, 0.1, labelled=1000, sampled=0)[1].tolist() == [True] + [False] * 8 + [True]


@pytest.mark.parametrize("labels_in_a_round", [1, 4, 7])
def test_the_share_holds_over_rounds_that_each_replace_the_queue_early(labels_in_a_round):
    tasks, labelled, slots_labelled = np.arange(20_000), set(), 0
    favourites = np.random.default_rng(0).permutation(tasks)
    while len(labelled) < 600:
        done = np.isin(tasks, list(labelled))
        order = slot_order(tasks)
        picks, slots = (ids[~done[ids]][:50] for ids in (favourites, order))
        sampled = int(random_sample(tasks, done).sum())
        queue, is_slot = interleave(picks, slots, 50, 0.1, len(labelled), sampled)
        labelled.update(queue[:labels_in_a_round].tolist())
        slots_labelled += int(is_slot[:labels_in_a_round].sum())
    assert slots_labelled / len(labelled) == pytest.approx(0.1, abs=0.02)
