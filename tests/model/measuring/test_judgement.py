"""What is known of a head on the images without a label: on made-up heads whose probabilities are off by a known amount."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from model.measuring.judgement import judge
from model.measuring.metrics import f1_per_class, macro_f1
from model.measuring.miscalibration import LAPSE, LAPSE_SPREAD, SHARPNESS, SHIFT

KNOWN = np.array([40, 40, 40])


def answers(random, p):
    """A class for each row of `p`, drawn by its probabilities."""
    return (random.random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(max=p.shape[1] - 1)


def bent(p, log_b=0.0, shifts=0.0, lapse=0.0):
    """What is true of images for which a head gives `p`."""
    return (1 - lapse) * softmax(np.exp(log_b) * np.log(p) + shifts, axis=1) + lapse / p.shape[1]


def project(seed, slots, images=600, classes=3, **off):
    """A head's probabilities for the images without a label, their classes, and the same of random slots."""
    random = np.random.default_rng(seed)
    p = softmax(random.normal(0, 3, (images + slots, classes)), axis=1)
    labels = answers(random, bent(p, **off))
    return p[slots:], labels[slots:], p[:slots], labels[:slots]


def judged(pool, held, labels, known=None, **options):
    known = np.full(pool.shape[1], 40) if known is None else known
    return judge(pool, held, labels, np.ones(len(labels)), known, **options)


def width(interval):
    return interval[1] - interval[0]


@pytest.mark.parametrize("slots", [0, 10, 60])
def test_intervals_hold_where_heads_are_off_as_the_prior_has_it(slots):
    random, held = np.random.default_rng(slots), []
    for seed in range(100):
        lapse = expit(random.normal(LAPSE, LAPSE_SPREAD))
        off = {"log_b": random.normal(0, SHARPNESS), "shifts": random.normal(0, SHIFT, 3), "lapse": lapse}
        pool, truth, *sample = project(seed, slots, **off)
        found, guesses = judged(pool, *sample), pool.argmax(axis=1)
        f1 = f1_per_class(guesses, truth, 3)[0]
        told = [found.interval, found.accuracy_interval, *found.per_class_intervals]
        values = [macro_f1(guesses, truth, 3), (guesses == truth).mean(), *f1]
        held.append([low <= value <= high for (low, high), value in zip(told, values, strict=True)])
    assert (np.mean(held, axis=0) > 0.88).all()  # 0.95 but for chance: three standard errors lower


@pytest.mark.parametrize("log_b", [-1.2, -0.8])
def test_a_head_that_is_much_too_sure_is_found_out_by_many_slots(log_b):
    off = []
    for seed in range(10):
        pool, truth, *sample = project(seed, 300, log_b=log_b)
        found = judged(pool, *sample)
        assert found.accuracy_interval[1] < pool.max(axis=1).mean()
        off.append(found.accuracy - (pool.argmax(axis=1) == truth).mean())
    assert abs(np.mean(off)) < 0.05


def test_a_class_that_is_guessed_too_often_is_found_out_by_many_slots():
    pool, truth, *sample = project(0, 300, shifts=np.array([-2.0, 0, 0]))
    found, without = judged(pool, *sample), judged(pool, *(part[:0] for part in sample))
    assert found.per_class_intervals[0][1] < without.per_class[0]
    assert found.interval[0] < macro_f1(pool.argmax(axis=1), truth, 3) < found.interval[1]


def test_more_slots_make_narrower_intervals():
    found = [judged(pool, *sample) for pool, _, *sample in (project(0, slots) for slots in (0, 30, 300, 3000))]
    for widths in ([width(one.interval) for one in found], [width(one.accuracy_interval) for one in found]):
        assert widths == sorted(widths, reverse=True)
        assert widths[-1] < widths[0] / 3


def test_it_agrees_with_a_posterior_that_bends_each_image_and_weighs_draws_of_the_prior():
    pool, _, held, labels = project(3, 12, images=200, classes=2)
    random, truths, likely = np.random.default_rng(0), [], []
    for _ in range(4000):
        off = {"log_b": random.normal(0, SHARPNESS), "shifts": random.normal(0, SHIFT, 2)}
        off |= {"lapse": expit(random.normal(LAPSE, LAPSE_SPREAD))}
        likely.append(bent(held, **off)[np.arange(12), labels].prod())
        truths.append((answers(random, bent(pool, **off)) == pool.argmax(axis=1)).mean())
    order = np.argsort(truths)
    reached = np.cumsum(np.array(likely)[order]) / np.sum(likely)
    low, middle, high = np.array(truths)[order][np.searchsorted(reached, [0.025, 0.5, 0.975])]
    found = judged(pool, held, labels)
    assert found.accuracy == pytest.approx(middle, abs=0.015)
    assert found.accuracy_interval == pytest.approx((low, high), abs=0.025)


def test_a_part_of_the_pool_speaks_for_all_of_it():
    pool, _, *sample = project(0, 20, images=8000)
    whole, part = judged(pool, *sample), judged(pool[:2000], *sample, size=8000)
    assert part.interval == pytest.approx(whole.interval, abs=0.02)


def test_a_head_of_few_labels_may_be_further_off():
    pool, _, *sample = project(0, 10)
    few, many = (judged(pool, *sample, known=np.full(3, each)) for each in (7, 70))
    assert width(few.interval) > 1.2 * width(many.interval)
    assert judged(pool, *sample, known=np.full(3, 700)).interval == many.interval


def test_of_a_class_with_far_fewer_labels_than_others_next_to_nothing_may_be_right_or_all():
    pool, _, *sample = project(0, 10)
    rare, even = judged(pool, *sample, known=np.array([8, 56, 56])), judged(pool, *sample)
    assert rare.per_class_intervals[0][0] < 0.3 < even.per_class_intervals[0][0]
    assert rare.per_class_intervals[0][1] > 0.8
    assert min(low for low, _ in rare.per_class_intervals[1:]) > 0.6
    assert rare.per_class[0] == pytest.approx(even.per_class[0], abs=0.03)


def test_a_class_with_many_labels_is_told_whatever_the_others_have():
    pool, _, *sample = project(0, 10)
    wide, less, least = (
        judged(pool, *sample, known=np.array([n, 20 * n, 20 * n])).per_class_intervals[0] for n in (8, 80, 800)
    )
    assert width(wide) > width(less) > width(least)


def test_several_rare_classes_do_not_make_up_for_each_other():
    pool, _, *sample = project(0, 10, classes=12)
    rare, even = (judged(pool, *sample, known=known) for known in (np.array([8] * 8 + [120] * 4), np.full(12, 45)))
    assert width(rare.interval) > 2 * width(even.interval)
    assert rare.macro_f1 == pytest.approx(even.macro_f1, abs=0.05)


def test_an_interval_is_shorter_than_the_central_one_where_errors_reach_further_to_one_side():
    random, pool, right = np.random.default_rng(0), np.tile([0.97, 0.03], (400, 1)), []
    for _ in range(4000):
        off = {"log_b": random.normal(0, SHARPNESS), "shifts": random.normal(0, SHIFT, 2)}
        off |= {"lapse": expit(random.normal(LAPSE, LAPSE_SPREAD))}
        right.append((answers(random, bent(pool, **off)) == 0).mean())
    central = np.percentile(right, [2.5, 97.5])
    found = judged(pool, pool[:0], np.zeros(0, np.int64))
    assert width(found.accuracy_interval) < width(central)
    assert np.mean([found.accuracy_interval[0] <= share <= found.accuracy_interval[1] for share in right]) > 0.93


def test_slots_that_count_less_change_less():
    pool, _, held, labels = project(0, 40, log_b=-1.0)
    light, full, none = (judge(pool, held, labels, weight * np.ones(40), KNOWN).macro_f1 for weight in (0.3, 1.0, 0.0))
    assert full < light < none


def test_a_perfect_head_stays_within_reach():
    pool = np.tile([[0.999, 0.0005, 0.0005], [0.0005, 0.999, 0.0005], [0.0005, 0.0005, 0.999]], (100, 1))
    found = judged(pool, pool[:12], np.arange(12) % 3)
    assert found.interval[1] == found.accuracy_interval[1] == 1.0
    assert all(high == 1.0 for _, high in found.per_class_intervals)


def test_a_class_that_nobody_has_labelled_does_not_lower_macro_f1():
    pool, _, held, labels = project(0, 30)
    known = np.array([40, 40, 40, 0])
    with_another = [np.hstack([0.99 * p, np.full((len(p), 1), 0.01)]) for p in (pool, held)]
    found = judged(with_another[0], with_another[1], labels, known)
    assert found.per_class[3] is None
    assert found.macro_f1 == pytest.approx(judged(pool, held, labels).macro_f1, abs=0.02)


def test_a_single_class_is_always_right():
    found = judged(np.ones((50, 1)), np.ones((5, 1)), np.zeros(5, np.int64))
    assert found.macro_f1 == found.accuracy == 1.0


def test_it_is_the_same_on_every_call():
    pool, _, *sample = project(0, 30)
    assert judged(pool, *sample) == judged(pool, *sample)


def test_nothing_left_to_judge_on_is_refused():
    with pytest.raises(ValueError, match="no image without a label"):
        judged(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, np.int64))
