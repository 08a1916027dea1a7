"""The random sample: what belongs to it, how it lives through imports, and that it leans to nothing."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom

from backend.learning.random_sample import Stratum, random_sample, strata_from
from backend.learning.slots import slot_order
from tests.backend.learning.made_up import Import, walk

NONE = np.zeros(0, bool)


def project(n, done=(), left=(), start=1):
    """n tasks in the order of their hashes, which of those places of the order are labelled, and which have left."""
    tasks = np.arange(start, start + n)
    tasks = tasks[slot_order(tasks)]
    labelled, gone = np.zeros((2, n), bool)
    labelled[list(done)], gone[list(left)] = True, True
    return tasks, labelled, gone


def members(sample):
    return np.flatnonzero(sample.weights).tolist()


def test_of_all_labels_the_share_is_drawn_from_the_start_of_the_order():
    sample = random_sample(*project(1000, range(100)), 0.15)
    assert np.flatnonzero(sample.drawn)[:15].tolist() == list(range(15))


def test_what_is_drawn_does_not_depend_on_which_tasks_are_labelled():
    rng = np.random.default_rng(0)
    drawn = [random_sample(*project(1000, rng.permutation(np.arange(60, 1000))[:300]), 0.1).drawn for _ in range(5)]
    assert all((other == drawn[0]).all() for other in drawn)


def test_the_sample_does_not_depend_on_how_tasks_are_listed():
    tasks, labelled, left = project(200, range(40))
    order = np.random.default_rng(0).permutation(200)
    listed = random_sample(tasks[order], labelled[order], left[order], 0.5)
    assert listed.weights.tolist() == random_sample(tasks, labelled, left, 0.5).weights[order].tolist()


def test_a_picked_task_next_in_the_order_is_not_taken_in_before_its_time():
    assert members(random_sample(*project(1000, [*range(11), *range(500, 590)]), 0.1)) == list(range(10))


def test_the_sample_ends_before_the_first_drawn_task_that_is_open():
    assert members(random_sample(*project(1000, [*range(7), *range(8, 101)]), 0.1)) == list(range(7))


def test_a_large_sample_passes_over_a_few_that_stay_open():
    done = [place for place in range(1000) if place not in (20, 60)]
    assert members(random_sample(*project(1200, done), 0.12)) == [place for place in range(119) if place not in (20, 60)]


def test_skipped_and_unreadable_tasks_leave_the_sample_and_others_take_their_turns():
    sample = random_sample(*project(1000, range(2, 102), left=(0, 1)), 0.1)
    assert members(sample) == list(range(2, 12))
    assert sample.turns[:4].tolist() == [0, 0, 1, 2]


def test_each_of_ten_of_a_thousand_stands_for_a_hundred():
    assert set(random_sample(*project(1000, range(100)), 0.1).weights) == {0.0, 100.0}


@pytest.mark.parametrize("n", [0, 1, 10])
def test_nothing_labelled_makes_no_sample(n):
    sample = random_sample(*project(n), 0.1)
    assert members(sample) == []
    assert sample.unjudged == n


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_where_all_is_labelled_all_is_the_sample(share):
    sample = random_sample(*project(74, range(74)), share)
    assert sample.weights.tolist() == [1.0] * 74
    assert sample.unjudged == 0


def test_levels_only_grow():
    before = random_sample(*project(1000, range(200)), 0.2)
    after = random_sample(*project(1000, range(200)), 0.05, before.strata)
    assert (after.drawn == before.drawn).all()


def imported(n, m, n_labelled, m_labelled=0, share=0.1):
    """n tasks of which the first of the order are labelled, and then m more."""
    first, labelled, left = project(n, range(n_labelled))
    before = random_sample(first, labelled, left, share)
    second, more, none = project(m, range(m_labelled), start=n + 1)
    arrays = (np.append(first, second), np.append(labelled, more), np.append(left, none))
    return before, random_sample(*arrays, share, before.strata)


def test_an_import_leaves_the_sample_as_it_is():
    before, after = imported(1000, 1000, 300)
    assert len(members(before)) == 30
    assert members(after) == members(before)
    assert (before.unjudged, after.unjudged) == (0, 1000)


def test_an_import_gets_the_next_slots_until_it_is_as_densely_drawn():
    _, after = imported(1000, 1000, 300)
    next_slots = np.argsort(after.turns[~after.drawn])[:20] + (~after.drawn)[:0].sum()
    assert (np.flatnonzero(~after.drawn)[next_slots] >= 1000).all()


def test_an_import_is_judged_with_the_rest_once_that_makes_nothing_less_sure():
    few, enough = imported(1000, 1000, 300, 60)[1], imported(1000, 1000, 300, 200)[1]
    assert few.unjudged == 1000
    assert enough.unjudged == 0
    assert set(enough.weights) == {0.0, 1000 / 30, 1000 / 20}


def test_an_import_that_has_caught_up_is_one_with_the_rest():
    after = imported(1000, 1000, 300, 320)[1]
    assert len(after.strata) == 1
    assert len(members(after)) == 62
    assert set(after.weights) == {0.0, 2000 / 62}


def test_small_imports_one_after_another_become_one_stratum():
    assert len(walk(0, [Import(0, 1000), *(Import(20 * hour, 5) for hour in range(1, 20))], 450).sample.strata) <= 2


def test_tasks_that_are_deleted_take_their_part_of_the_weight_along():
    tasks, labelled, left = project(1000, range(100))
    before = random_sample(tasks, labelled, left, 0.1)
    kept = np.arange(1000) < 600
    after = random_sample(tasks[kept], labelled[kept], left[kept], 0.1, before.strata)
    assert set(after.weights) == {0.0, 60.0}


def test_without_the_strata_all_tasks_count_as_one_import():
    assert random_sample(*project(100, range(50)), 0.2).strata[0].last == 100


def test_a_stratum_whose_tasks_are_all_gone_does_no_harm():
    sample = random_sample(*project(1000, range(100), start=500), 0.1, [Stratum(400, 0.3)])
    assert len(members(sample)) == 10


def test_strata_can_be_written_as_json():
    strata = imported(1000, 1000, 300)[1].strata
    assert strata_from(json.loads(json.dumps([asdict(stratum) for stratum in strata]))) == list(strata)


@pytest.mark.parametrize(
    "damaged",
    [
        *(None, "x", 3, {"last": 1}, [3], [{"last": 5}], [{"last": "x", "level": 1}], [{"last": 5, "level": 7}]),
        [{"last": 5, "level": 0.1}, {"last": 4, "level": 0.1}],
    ],
)
def test_what_are_no_strata_counts_as_none(damaged):
    assert strata_from(damaged) == []


def unbiased(walks, expected=0.3):
    """Whether hard tasks are as frequent in the samples as in the pools, within three standard errors."""
    shares = np.array([one.hard_share for one in walks])
    return abs(shares.mean() - expected) < 3 * shares.std() / np.sqrt(len(shares))


CASES = {
    "one import": dict(imports=[Import(0, 1000)], labels=300),
    "rounds that replace the queue early": dict(imports=[Import(0, 1000)], labels=302, a_round=4),
    "most easy tasks accepted from the model": dict(imports=[Import(0, 1000)], labels=300, share=0.2, accept=150),
    "half of the labels in random slots": dict(imports=[Import(0, 600)], labels=300, share=0.5),
    "tasks that annotators keep or skip": dict(imports=[Import(0, 1000)], labels=300, kept=0.05, left=0.02),
    "an import of harder tasks": dict(imports=[Import(0, 600, 0.2), Import(150, 600, 0.4)], labels=400),
    "hourly imports": dict(imports=[Import(0, 600), *(Import(20 * h, 5) for h in range(1, 15))], labels=300),
}


@pytest.mark.parametrize("case", CASES)
def test_hard_tasks_that_a_strategy_prefers_are_no_more_frequent_in_the_sample(case):
    walks = [walk(seed, **CASES[case]) for seed in range(20)]
    assert all(one.labelled[one.hard].mean() > 0.6 > one.labelled[~one.hard].mean() for one in walks)
    assert unbiased(walks)


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES)
def test_nor_are_they_in_a_thousand_projects(case):
    assert unbiased([walk(seed, **CASES[case]) for seed in range(1000)])


def test_this_check_would_see_the_bias_of_a_sample_that_ends_where_picks_end():
    """Samples that go on for as long as tasks are labelled: in a hundred projects the lean to hard ones shows."""
    hard: list[bool] = []
    for seed in range(100):
        done = walk(seed, [Import(0, 1000)], 250)
        ahead = np.argsort(done.sample.turns)[int(done.sample.drawn.sum()) :]
        hard += done.hard[ahead[: int(done.labelled[ahead].argmin())]].tolist()
    assert sum(hard) > binom.ppf(0.999, len(hard), 0.3)
