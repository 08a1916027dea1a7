"""How two heads compare on the images without a label: on made-up ones whose blend is off by a known amount."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from model.measuring import paired_judgement
from model.measuring.metrics import macro_f1
from model.measuring.miscalibration import LAPSE, LAPSE_SPREAD, SHARPNESS, SHIFT
from model.measuring.paired_judgement import PAIRS, judge_pair

KNOWN = np.array([40, 40, 40])


def heads(random, images, classes=3, alike=0.7):
    """Probabilities of two heads that mostly agree, (images, classes) each."""
    shared, *own = random.normal(0, 3, (3, images, classes))
    return tuple(softmax(alike * shared + (1 - alike) * mine, axis=1) for mine in own)


def answers(random, pair, share, log_b=0.0, shifts=0.0, lapse=0.0, odds=0.0):
    """The classes of images, drawn by a blend of what two heads say, which is off by so much; odds: standard deviation, see
    PAIRS."""
    logs = (1 - share) * np.log(pair[0]) + share * np.log(pair[1])
    bent, (live, new) = np.exp(log_b) * logs + shifts, (p.argmax(axis=1) for p in pair)
    off = odds / 2 * random.normal(size=(logs.shape[1],) * 2)[live, new] * (live != new)
    bent[np.arange(len(bent)), live] -= off
    bent[np.arange(len(bent)), new] += off
    p = (1 - lapse) * softmax(bent, axis=1) + lapse / logs.shape[1]
    return (random.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=p.shape[1] - 1)


def project(seed, labelled, share, images=400, **off):
    """What two heads say of the images without a label, their classes, and the same of labelled ones."""
    random = np.random.default_rng(seed)
    pair = heads(random, images + labelled)
    truth = answers(random, pair, share, **off)
    return parts(pair, slice(labelled, None)), truth[labelled:], parts(pair, slice(labelled)), truth[:labelled]


def parts(pair, rows):
    return tuple(p[rows] for p in pair)


def difference(pool, truth):
    live, new = (macro_f1(p.argmax(axis=1), truth, 3) for p in pool)
    return new - live


@pytest.mark.parametrize("labelled", [0, 30, 300])
def test_intervals_and_probabilities_hold_where_heads_are_off_as_the_prior_has_it(labelled):
    random, held, told, better = np.random.default_rng(labelled), [], [], []
    for seed in range(60):
        lapse = expit(random.normal(LAPSE, LAPSE_SPREAD))
        off = {"log_b": random.normal(0, SHARPNESS), "shifts": random.normal(0, SHIFT, 3), "lapse": lapse, "odds": PAIRS}
        pool, truth, *sample = project(seed, labelled, random.uniform(-0.5, 1.5), **off)
        found, true = judge_pair(pool, *sample, KNOWN), difference(pool, truth)
        held.append(found.interval[0] <= true <= found.interval[1])
        told.append(found.probability)
        better.append(true > 0)
    told, better = np.array(told), np.array(better)
    assert np.mean(held) > 0.86  # 0.95 but for chance: three standard errors lower
    assert abs((told - better).mean()) < 0.2  # three standard errors at most
    assert (((told > 0.5) == better).mean() > 0.8) == (labelled > 0)


@pytest.mark.parametrize("better", [0, 1])
def test_the_labels_decide_between_heads_that_are_equally_sure(better):
    pool, truth, *sample = project(0, 300, float(better))
    found = judge_pair(pool, *sample, KNOWN)
    assert (found.probability > 0.95, found.probability < 0.05) == (better == 1, better == 0)
    for p, told in zip(pool, (found.live, found.new), strict=True):
        assert told == pytest.approx(macro_f1(p.argmax(axis=1), truth, 3), abs=0.06)


def test_without_labels_the_surer_head_is_likely_the_better_one():
    pool, *_ = project(0, 0, 0.5)
    doubtful = softmax(0.3 * np.log(pool[0]), axis=1)
    none = (np.zeros((0, 3)), np.zeros((0, 3))), np.zeros(0, np.int64)
    assert 0.5 < judge_pair((doubtful, pool[1]), *none, KNOWN).probability < 1
    assert judge_pair(pool, *none, KNOWN).probability == pytest.approx(0.5, abs=0.2)


def test_the_other_way_round_the_verdict_is_the_other_one():
    pool, _, held, labels = project(3, 60, 0.8)
    there, back = judge_pair(pool, held, labels, KNOWN), judge_pair(pool[::-1], held[::-1], labels, KNOWN)
    assert there.probability == pytest.approx(1 - back.probability, abs=0.06)
    assert there.interval == pytest.approx([-value for value in back.interval[::-1]], abs=0.02)
    assert (there.live, there.new) == pytest.approx((back.new, back.live), abs=0.01)


def test_equal_heads_are_equally_good():
    (live, _), _, (held, _), labels = project(0, 60, 0.5)
    found = judge_pair((live, live), (held, held), labels, KNOWN)
    assert (found.probability, found.interval) == (0.5, (0.0, 0.0))


def test_labels_that_were_picked_where_the_live_head_was_unsure_favour_none():
    promoted, better = [], []
    for seed in range(30):
        pool, truth, held, labels = project(seed, 1500, 0.3)
        unsure = np.argsort(held[0].max(axis=1))[:150]
        found = judge_pair(pool, parts(held, unsure), labels[unsure], KNOWN)
        promoted.append(found.probability > 0.9)
        better.append(difference(pool, truth) > 0)
    assert np.mean(better) < 0.2
    assert np.mean(promoted) <= 0.1


def test_the_heads_may_be_off_for_two_classes_however_many_labels_there_are(monkeypatch):
    pool, _, *sample = project(0, 3000, 0.5)
    low, high = judge_pair(pool, *sample, KNOWN).interval
    monkeypatch.setattr(paired_judgement, "PAIRS", 0)
    narrow, wide = judge_pair(pool, *sample, KNOWN).interval
    assert high - low > 1.3 * (wide - narrow)


def test_a_class_that_was_never_learned_does_not_count():
    pool, _, held, labels = project(0, 100, 0.5)
    wider = [np.hstack([0.99 * p, np.full((len(p), 1), 0.01)]) for p in (*pool, *held)]
    found = judge_pair((wider[0], wider[1]), (wider[2], wider[3]), labels, np.append(KNOWN, 0))
    without = judge_pair(pool, held, labels, KNOWN)
    assert (found.live, found.new) == pytest.approx((without.live, without.new), abs=0.04)


def test_parts_of_the_draws_make_the_same_verdict(monkeypatch):
    pool, _, *sample = project(0, 60, 0.5)
    whole = judge_pair(pool, *sample, KNOWN)
    monkeypatch.setattr(paired_judgement, "CELLS", 1000)
    parts = judge_pair(pool, *sample, KNOWN)
    assert (parts.live, parts.new, *parts.interval) == pytest.approx((whole.live, whole.new, *whole.interval), abs=0.02)
    assert parts.probability == pytest.approx(whole.probability, abs=0.05)


def test_without_images_there_is_nothing_to_judge_on():
    with pytest.raises(ValueError, match="pool has no row"):
        judge_pair((np.zeros((0, 3)),) * 2, (np.zeros((0, 3)),) * 2, np.zeros(0, np.int64), KNOWN)
