"""Random slots: their order, and their share of the queue."""

import numpy as np
import pytest
import scipy.stats

from backend.learning.slots import interleave, slot_order

NOTHING = np.zeros(0, np.int64)


def tasks_in_slot_order(n, start=1):
    tasks = np.arange(start, start + n)
    return tasks[slot_order(tasks)]


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


def merge(size, share, picks=None, slots=None, labelled=0, first_turn=1):
    """A queue of picks 0, 1 ... and slots 1000, 1001 ... of which the first is drawn as number `first_turn`."""
    picks = np.arange(100) if picks is None else np.array(picks, np.int64)
    slots = np.arange(1000, 1100) if slots is None else np.array(slots, np.int64)
    return interleave(picks, slots, first_turn + np.arange(len(slots)), size, share, labelled)


def test_a_tenth_of_the_queue_are_slots():
    assert merge(50, 0.1)[1].sum() == 5


def test_without_exploring_there_are_no_slots():
    tasks, is_slot = merge(20, 0.0, labelled=500)
    assert tasks.tolist() == list(range(20))
    assert not is_slot.any()


def test_with_nothing_but_exploring_there_are_only_slots():
    tasks, is_slot = merge(20, 1.0, labelled=30, first_turn=31)
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
    tasks, is_slot = interleave(NOTHING, NOTHING, NOTHING, 10, 0.1, 5)
    assert (tasks.shape, is_slot.shape, tasks.dtype) == ((0,), (0,), np.int64)


def test_a_sample_that_lags_far_behind_asks_for_one_slot_at_once_and_not_for_many():
    assert merge(10, 0.1, labelled=1000)[1].tolist() == [True] + [False] * 8 + [True]


def test_a_slot_waits_until_its_turn_where_picks_have_labelled_those_before_it():
    assert not merge(50, 0.1, labelled=100, first_turn=16)[1].any()
    assert np.flatnonzero(merge(50, 0.1, labelled=100, first_turn=14)[1]).tolist() == [39, 49]


def test_the_queue_of_the_next_round_goes_on_where_this_one_was_replaced():
    assert merge(10, 0.1, labelled=7, first_turn=1)[1].tolist() == [False, False, True] + [False] * 7
