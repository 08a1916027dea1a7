"""What a seed draws: the same for every strategy, and no test image ever in the pool."""

import numpy as np
import pytest

from backend.simulate.draw import draw
from backend.simulate.protocol import Protocol
from tests.backend.simulate.made_up import clusters

SHORT = Protocol(start=10, batch=5, rounds=3)


def test_the_same_seed_draws_the_same_and_another_seed_otherwise():
    images = clusters()
    first, again, other = (draw(images, SHORT, seed) for seed in (0, 0, 1))
    for name in ("test", "pool", "start", "tasks"):
        assert getattr(first, name).tolist() == getattr(again, name).tolist()
        assert getattr(first, name).tolist() != getattr(other, name).tolist()


def test_test_images_are_never_in_the_pool():
    drawn = draw(clusters(), SHORT, seed=0)
    assert set(drawn.test) & set(drawn.pool) == set()
    assert set(drawn.test) | set(drawn.pool) == set(range(120))
    assert set(drawn.start) <= set(drawn.pool)
    assert len(set(drawn.start)) == SHORT.start


def test_the_test_takes_its_share_of_each_class():
    images = clusters()
    test = draw(images, SHORT, seed=0).test
    assert np.bincount(images.labels[test]).tolist() == [12, 12, 12]


def test_copies_of_test_images_leave_with_them_and_the_others_stay_with_their_original():
    images = clusters(copies=2)
    drawn = draw(images, SHORT, seed=0)
    assert (images.originals[drawn.test] == drawn.test).all()
    assert set(images.originals[drawn.pool]) & set(drawn.test) == set()
    assert len(drawn.pool) == 3 * (120 - len(drawn.test))
    assert (images.labels[drawn.pool] == images.labels[images.originals[drawn.pool]]).all()


def test_file_names_say_what_is_tested_on_where_they_do():
    images = clusters(test=range(0, 120, 4))
    for seed in (0, 1):
        assert draw(images, SHORT, seed).test.tolist() == list(range(0, 120, 4))


def test_another_start_leaves_the_test_as_it_is():
    images = clusters()
    longer = Protocol(start=30, batch=5, rounds=3)
    assert draw(images, SHORT, 0).test.tolist() == draw(images, longer, 0).test.tolist()
    assert draw(images, SHORT, 0).start.tolist() == draw(images, longer, 0).start[:10].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_imbalance_thins_a_class_in_the_pool_and_not_in_the_test(seed):
    images = clusters(copies=1)
    rare = Protocol(start=10, batch=5, rounds=3, imbalance=(("class-1", 0.25),))
    even, uneven = draw(images, SHORT, seed), draw(images, rare, seed)
    assert uneven.test.tolist() == even.test.tolist()
    assert np.bincount(images.labels[uneven.pool]).tolist() == [56, 14, 56]
    assert set(uneven.pool) < set(even.pool)
    _, each = np.unique(images.originals[uneven.pool], return_counts=True)
    assert (each == 2).all()


def test_the_pool_is_in_the_order_of_its_tasks_so_that_the_order_of_classes_tells_nothing():
    images = clusters()
    drawn = draw(images, SHORT, 0)
    assert (np.diff(drawn.tasks[drawn.pool]) > 0).all()
    assert (np.diff(images.labels[drawn.pool]) < 0).any()


def test_tasks_lead_back_to_their_rows():
    drawn = draw(clusters(), SHORT, 0)
    assert drawn.rows(drawn.tasks[drawn.start]).tolist() == drawn.start.tolist()


@pytest.mark.parametrize(("pool", "grid"), [(100, [10, 15, 20, 25]), (22, [10, 15, 20, 22]), (20, [10, 15, 20])])
def test_a_curve_ends_after_its_rounds_or_with_the_pool(pool, grid):
    assert SHORT.grid(pool) == grid


@pytest.mark.parametrize("pool", [9, 10])
def test_a_pool_with_nothing_left_to_query_is_refused_with_both_numbers(pool):
    with pytest.raises(ValueError, match=rf"Only {pool} images can be labelled.*start with 10"):
        SHORT.grid(pool)


def test_one_query_is_whole_or_refused():
    with pytest.raises(ValueError, match=r"Only 14 images can be labelled.*10 and a query of 5"):
        Protocol(start=10, batch=5, rounds=1, one_shot=True).grid(14)
