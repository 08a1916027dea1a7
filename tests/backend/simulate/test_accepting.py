"""`simulate --accept`: the rest of a pool labelled by its head, and what is told of it."""

import numpy as np
import pytest

from backend.learning.promise import Population, candidates
from backend.simulate.accepting import Accepted, Frozen, Run, freeze, play
from backend.simulate.curves import run_curve
from backend.simulate.options import RUNS
from backend.simulate.protocol import Protocol
from tests.backend.simulate.made_up import DEFAULT, clusters

N = 2000
PROTOCOL = Protocol(20, 20, 2, test=0.0)


def frozen(wrong, unsure=0, doubt=0.001):
    """N images of which the rows `wrong` are, in the order of confidence; the last `unsure` ones are guessed."""
    confidences = np.linspace(1, 1 - 2 * doubt, N).astype(np.float32)
    confidences[N - unsure :] = 0.6
    right = ~np.isin(np.arange(N), wrong)
    return Frozen(Population(np.arange(N), np.zeros(N, np.int64), confidences), right, labels=100, images=N + 100)


def played(pool, order=0):
    return play(pool, candidates(pool.population), 0.02, np.random.default_rng(order))


def test_a_right_head_labels_all_that_nobody_checked():
    run = played(frozen([]))
    assert run.checks + run.accepted == N
    assert 100 < run.checks < 300
    assert run.wrong == 0


def test_a_wrong_one_that_is_found_leads_to_another_ask():
    runs = [played(frozen([7, 900, 1100, 1500, 1900]), order) for order in range(8)]
    assert len({run.checks for run in runs}) > 1
    assert all(run.accepted for run in runs)


def test_a_head_that_is_surer_than_it_may_be_is_not_believed():
    runs = [played(frozen(np.arange(0, N, 10)), order) for order in range(8)]
    assert all(run.checks and not run.accepted for run in runs)


def test_where_nothing_is_worth_it_nobody_is_asked():
    run = played(frozen(np.arange(0, N, 3), unsure=N))
    assert (run.checks, run.accepted) == (0, 0)


def test_who_knows_all_accepts_the_longest_start_of_the_order_that_keeps_the_promise():
    wrong = [*range(1000, 1020), *range(1021, 1500)]
    assert frozen(wrong).oracle(0.02) == 1021
    assert frozen([0]).oracle(0.02) == N
    assert frozen(np.arange(N)).oracle(0.02) == 0


@pytest.fixture(scope="module")
def images():
    return clusters(n=300, apart=1.5)


def test_the_whole_folder_is_the_pool_and_what_is_labelled_is_not_among_the_rest(images):
    curve = run_curve(images, PROTOCOL, DEFAULT, seed=0)
    assert (curve.labels, curve.macro_f1) == ([20, 40, 60], [])
    pool = freeze(images, PROTOCOL, DEFAULT, np.array(curve.picked), seed=0)
    assert (pool.labels, pool.images, len(pool.right)) == (60, 300, 240)
    assert (np.diff(pool.population.confidences) <= 0).all()


def test_a_guess_is_right_where_the_folder_says_the_same(images):
    curve = run_curve(images, PROTOCOL, DEFAULT, seed=0)
    pool = freeze(images, PROTOCOL, DEFAULT, np.array(curve.picked), seed=0)
    rest = np.bincount(images.labels, minlength=3) - np.bincount(images.labels[curve.picked], minlength=3)
    guessed = np.bincount(pool.population.guesses[pool.right], minlength=3)
    assert (guessed <= rest).all()
    assert pool.right.mean() > 0.9


def test_figures_are_shares_of_the_pool_over_all_runs():
    runs = [Run(100, 800, 16, 900, 100, 1000), Run(200, 700, 15, 900, 100, 1000), Run(300, 0, 0, 900, 100, 1000)]
    told = Accepted(runs, 0.02).as_dict()
    assert told == pytest.approx(
        {
            "error": 0.02,
            "runs": 3,
            "accepting": 2 / 3,
            "kept": 0.5,
            "accepted": 0.5,
            "oracle": 0.9,
            "touched": 0.3,
            "labels": 100,
            "checks": 200,
            "wrong": (16 / 800 + 15 / 700) / 2,
        }
    )


def test_where_no_run_accepts_anything_no_promise_is_kept_or_broken():
    assert Accepted([Run(0, 0, 0, 900, 100, 1000)], 0.02).as_dict()["kept"] is None


def test_the_command_tells_of_every_run(simulate):
    run = simulate("--accept", "0.02", "--start", "10", "--batch", "10", "--rounds", "1")
    assert run.status == 0
    assert "oracle" in run.out
    assert run.json["accept"]["runs"] == RUNS == len(run.json["runs"])
    assert run.json["accept"]["touched"] == pytest.approx(20 / 75)


@pytest.mark.parametrize("options", [("--groups",), ("--one-shot",), ("--finetune", "last")])
def test_what_does_not_fit_is_refused(simulate, options):
    run = simulate("--accept", "0.02", *options)
    assert run.status != 0
    assert run.json is None


def test_all_checks_lie_among_the_candidates():
    run = played(frozen(np.arange(1500, N, 2), unsure=500))
    assert run.checks + run.accepted == 1500
    assert run.wrong == 0
