"""Which images a backbone is judged on, and when it is better."""

from dataclasses import replace

import numpy as np
import pytest

from backend.learning.promotion import Known, compare, split
from backend.learning.rounds import Labelled, Pool
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.measuring.metrics import ENOUGH, macro_f1
from tests.model.made_up import images


def labelled(n, sampled, seen=0):
    """n labelled images of which the first `sampled` are in the random sample, and of those the first `seen` have been seen."""
    embeddings, labels = images(n)
    unseen = np.arange(n) >= seen
    return Labelled(np.arange(n) + 1, labels, embeddings, np.where(np.arange(n) < sampled, 1.0, 0.0), unseen)


@pytest.mark.parametrize(
    ("n", "sampled", "test", "stop"),
    [(300, 30, 30, 0), (300, 300, 60, 36), (80, 80, 30, 0), (1000, 100, 50, 0), (2000, 200, 100, 100), (50, 5, 5, 0)],
)
def test_the_test_comes_first_and_then_the_stop_fold(n, sampled, test, stop):
    found = split(labelled(n, sampled))
    assert (found.test.sum(), found.stop.sum()) == (test, stop)


def test_test_and_stop_fold_are_random_slots_and_never_the_same():
    found = split(labelled(400, 300))
    assert not (found.test & found.stop).any()
    assert not (found.test | found.stop)[300:].any()


def test_what_the_live_backbone_has_seen_is_no_test():
    found = split(labelled(300, 100, seen=70))
    assert found.test.sum() == 30
    assert not found.test[:70].any()


N, POOL = 100, 400


def known(apart, unseen=N, pool=POOL, sampled=N, seed=0):
    """What a made-up backbone makes of N labelled images, of which it has not seen the first `unseen`, and of `pool` others."""
    embeddings, labels = images(N + POOL, apart=apart, seed=seed)
    none = np.zeros(pool, np.int64)
    return Known(
        Labelled(np.arange(N), labels[:N], embeddings[:N], np.where(np.arange(N) < sampled, 1.0, 0.0), np.arange(N) < unseen),
        Pool(N + np.arange(pool), embeddings[N : N + pool], none),
    )


def judged(live, new, tests, **about):
    """The verdict on two made-up backbones that tell classes more or less apart, by the first `tests` labels."""
    return compare(known(live, **about), known(new, **about), np.arange(N) < tests, 3)


@pytest.mark.parametrize("about", [{}, {"sampled": 0}, {"pool": 0}])
def test_a_clearly_better_backbone_is_promoted(about):
    found = judged(0.1, 1.0, 60, **about)
    assert found.promoted
    assert found.new > found.live
    assert found.interval[0] > 0
    assert found.unlabelled == ("pool" not in about)


def test_a_worse_one_is_not():
    assert judged(1.0, 0.1, 60).probability < 0.1


def test_an_equal_one_is_not():
    found = judged(0.3, 0.3, 60)
    assert not found.promoted
    assert found.probability == 0.5


@pytest.mark.parametrize("pool", [0, POOL])
def test_a_few_labels_prove_nothing(pool):
    found = judged(0.1, 1.0, ENOUGH - 1, pool=pool)
    assert found.probability > 0.9
    assert not found.promoted


def test_the_figures_are_about_those_of_the_images_without_a_label():
    live, new = known(0.4), known(0.8)
    found = compare(live, new, np.arange(N) < 60, 3)
    truth = images(N + POOL)[1][N:]
    for side, told in ((live, found.live), (new, found.new)):
        head = fit_head(Learner(side.labelled.embeddings, side.labelled.labels, 3, side.pool.embeddings))
        assert told == pytest.approx(macro_f1(head.probabilities(side.pool.embeddings).argmax(axis=1), truth, 3), abs=0.05)


def test_images_that_one_backbone_alone_knows_judge_nothing():
    live, new = known(0.1), known(1.0)
    odd = replace(live, pool=live.pool.only(np.arange(POOL) % 2 == 0))
    upside_down = new.pool.embeddings * np.where(np.arange(POOL) % 2 == 0, 1, -1)[:, None].astype(np.float32)
    found = compare(odd, replace(new, pool=replace(new.pool, embeddings=upside_down)), np.arange(N) < 60, 3)
    assert found == compare(odd, new, np.arange(N) < 60, 3)


def test_an_embedding_that_is_not_finite_is_left_out():
    live, new = known(0.1), known(1.0)
    new.pool.embeddings[0, 0] = np.nan
    assert compare(live, new, np.arange(N) < 60, 3).promoted


def test_without_images_to_judge_by_there_is_no_verdict():
    found = judged(0.1, 1.0, 0)
    assert (found.n, found.probability, found.promoted) == (0, None, False)


# Where every image has a label, or may be of several classes.


def test_a_few_slots_that_stand_for_many_prove_nothing():
    live, new = known(0.1, pool=0), known(1.0, pool=0)
    heavy = replace(live.labelled, weights=np.where(np.arange(N) < 5, 200.0, 1.0))
    found = compare(replace(live, labelled=heavy), new, np.arange(N) < 60, 3)
    assert (found.n, found.promoted) == (60, False)


def test_images_outside_the_sample_judge_nothing():
    assert judged(0.1, 1.0, 60, pool=0, sampled=40).n == 40


def test_the_test_holds_of_each_stratum_about_its_share():
    known = replace(labelled(800, 800), weights=np.where(np.arange(800) < 400, 1.0, 3.0))
    assert 0.4 < (known.weights[split(known).test] == 3).mean() < 0.6
