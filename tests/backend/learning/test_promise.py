"""What may be accepted: how it is chosen, what is counted, and that the promise is kept however often anybody asks."""

import numpy as np
import pytest

from backend.learning.promise import NOTHING, Checks, Population, Step, candidates, decide

N = 1000


def population(wrong=0.0, size=N, seed=0):
    """Images with calibrated confidences, a share `wrong` of which is wrong, most of them among the least sure; and which are
    right."""
    random = np.random.default_rng(seed)
    doubt = np.minimum(random.exponential(wrong, size), 0.6)
    tasks = 10 + random.permutation(size)
    return Population(tasks, random.integers(3, size=size), (1 - doubt).astype(np.float32)), random.random(size) >= doubt


def checked(among, right, size, seed=0):
    """The first `size` in a random order."""
    rows = np.random.default_rng(seed).permutation(len(among.tasks))[:size]
    return Checks(among.tasks[rows], right[rows])


def test_nothing_is_accepted_without_a_check():
    among, _ = population(0.001)
    assert len(decide(among, NOTHING).tasks) == 0


def test_enough_checks_without_a_wrong_one_allow_all_others():
    among, right = population()
    checks = checked(among, right, 300)
    decision = decide(among, checks)
    assert set(decision.tasks) == set(among.tasks) - set(checks.tasks)
    assert 0 < decision.bound <= 0.02
    assert decision.plan == ()


def test_the_plan_is_what_it_takes():
    among, right = population()
    (step,) = decide(among, NOTHING).plan
    assert 0.5 < step.chance <= 1
    assert len(decide(among, checked(among, right, step.checks)).tasks) == step.images
    assert len(decide(among, checked(among, right, int(0.95 * step.checks))).tasks) == 0


def test_two_percent_take_about_149_checks_without_a_wrong_one_in_a_large_pool_and_more_where_there_are_some():
    among, right = population(size=100_000)
    assert 149 <= decide(among, NOTHING).plan[0].checks <= 200
    one_wrong = checked(among, right, 200)
    one_wrong.right[7] = False
    assert 236 - 200 <= decide(among, one_wrong).plan[0].checks <= 350 - 200


def test_the_bound_is_the_same_whatever_error_is_asked_for():
    among, right = population(0.001)
    checks = checked(among, right, 300)
    assert len({decide(among, checks, error=error).bound for error in (0.02, 0.05, 0.1)}) == 1


def test_a_skipped_image_counts_as_wrong():
    among, right = population()
    checks = checked(among, right, 250)
    assert len(decide(among, checks).tasks) > 0
    skipped = Checks(checks.tasks, np.arange(250) >= 5)
    assert len(decide(among, skipped).tasks) == 0


def test_where_only_the_surest_half_keeps_the_promise_that_half_is_accepted():
    size = 4000
    among = population(0.001, size)[0].surest(size)
    right = (np.arange(size) < size // 2) | (np.arange(size) % 10 > 0)
    decision = decide(among, checked(among, right, 600))
    half = set(among.surest(size // 2).tasks)
    assert len(decision.tasks) > 0
    assert set(decision.tasks) <= half
    assert decision.threshold >= among.surest(size // 2).confidences.min()


def test_what_others_labelled_is_not_accepted_and_their_wrong_ones_are_known():
    among, right = population()
    checks = checked(among, right, 200)
    rest = np.setdiff1d(among.tasks, checks.tasks)[:100]
    decision = decide(among, checks, Checks(rest, np.ones(100, bool)))
    assert not set(decision.tasks) & {*checks.tasks, *rest}
    found = decide(among, checks, Checks(rest, np.arange(100) > 0))
    assert found.bound < decision.bound


def test_who_labels_only_right_ones_meanwhile_leaves_no_more_wrong_ones_than_promised():
    among, right = population(0.001, 4000)
    right[:] = True
    right[:12] = False
    checks = checked(among, right, 1000)
    assert len(decide(among, checks).tasks) == 3000
    rest = np.setdiff1d(among.tasks[right], checks.tasks)
    for size in range(0, len(rest), 250):
        decision = decide(among, checks, Checks(rest[:size], np.ones(size, bool)))
        wrong = np.isin(decision.tasks, among.tasks[~right]).sum()
        assert wrong <= decision.bound * len(decision.tasks) <= 0.02 * len(decision.tasks)
    assert len(decision.tasks) == 0


def test_a_check_that_is_listed_with_the_others_too_is_counted_once():
    among, right = population()
    checks = checked(among, right, 200)
    assert decide(among, checks, checks).bound == decide(among, checks).bound


def test_images_that_are_no_candidates_change_nothing():
    among, right = population()
    checks = checked(among, right, 200)
    strangers = Checks(np.append(checks.tasks, [1, 2, 3]), np.append(checks.right, [False] * 3))
    assert decide(among, strangers).tasks.tolist() == decide(among, checks).tasks.tolist()


def test_candidates_are_the_surest_images_and_leave_out_those_that_would_break_the_promise():
    all_of_them, _ = population(0.01, 4000)
    chosen = candidates(all_of_them)
    left_out = np.setdiff1d(all_of_them.tasks, chosen.tasks)
    assert 1000 < len(chosen.tasks) < 4000
    assert all_of_them.confidences[np.isin(all_of_them.tasks, left_out)].max() <= chosen.confidences.min()


def test_of_a_head_that_is_hardly_ever_sure_there_are_no_candidates():
    unsure, _ = population(0.5)
    assert len(candidates(unsure).tasks) == 0


def test_of_so_few_images_that_checks_are_no_less_work_there_are_no_candidates():
    few, _ = population(size=150)
    assert len(candidates(few).tasks) == 0


def test_without_an_image_there_is_nothing_to_decide():
    empty = population(size=0)[0]
    assert len(candidates(empty).tasks) == 0
    assert decide(empty, NOTHING).plan == ()


def test_an_image_without_a_finite_confidence_is_no_candidate():
    among, _ = population()
    among.confidences[3] = np.nan
    assert among.tasks[3] not in candidates(among).tasks


def test_an_error_that_is_no_share_is_refused():
    with pytest.raises(ValueError, match="error 2"):
        decide(population()[0], NOTHING, error=2)


def test_a_step_that_asks_for_more_and_allows_less_is_not_in_the_plan():
    among, right = population(0.004)
    for size in (0, 100, 200, 300):
        plan = decide(among, checked(among, right, size)).plan
        assert all(isinstance(step, Step) for step in plan)
        assert sorted({step.images for step in plan}) == [step.images for step in plan]


def broken(size, wrong, confident, seed):
    """Whether somebody who looks after every answer, and accepts as soon as possible, ever accepts more than 2 % wrong ones."""
    random = np.random.default_rng(seed)
    among = Population(np.arange(size), np.zeros(size, np.int64), np.linspace(1, confident, size).astype(np.float32))
    right = np.ones(size, bool)
    right[random.permutation(size)[:wrong]] = False
    order = random.permutation(size)
    for n in (160, 200, 260, 340):
        decision = decide(among, Checks(order[:n], right[order[:n]]))
        if (~right[decision.tasks]).sum() > 0.02 * len(decision.tasks):
            return True
    return False


@pytest.mark.parametrize(("size", "wrong"), [(1000, 20), (3000, 61)])
def test_who_looks_after_every_few_answers_is_seldom_misled_by_a_pool_that_is_just_too_bad(size, wrong):
    misled = sum(broken(size, wrong, 0.999, seed) for seed in range(100))
    assert misled <= 0.05 * 100 + 3 * np.sqrt(100 * 0.05 * 0.95)
