"""A person who labels one by one or in groups: what it takes, and what comes of it."""

from dataclasses import replace

import numpy as np
import pytest

from backend.simulate import walk as walks
from backend.simulate.draw import draw
from backend.simulate.errors import OptionsError
from backend.simulate.person import Person, person_of
from backend.simulate.protocol import Protocol
from backend.simulate.walk import FIRST, walk
from tests.backend.simulate.made_up import DEFAULT, clusters

CAREFUL = Person(overlooked=0.0)


@pytest.fixture(scope="module")
def images():
    return clusters(n=600, apart=1.5)


def label(images, person=CAREFUL, seconds=150.0, groups=True, seed=0, explore=0.1):
    return walk(images, Protocol(), replace(DEFAULT, explore=explore), person, seconds, groups, seed)


def test_one_by_one_takes_the_time_of_each_image(images):
    came = label(images, groups=False, seconds=60)
    assert came.seconds == pytest.approx([2.3 * labels for labels in came.labels])
    assert came.seconds[-2] < 60 <= came.seconds[-1]
    assert (came.in_grids, came.wrong[-1]) == (0, 0)


def test_groups_begin_once_the_head_has_seen_enough_and_give_more_labels_in_the_same_time(images):
    single, grouped = label(images, groups=False), label(images)
    begun = sum(labels <= FIRST for labels in single.labels)
    assert grouped.labels[:begun] == single.labels[:begun]
    assert grouped.labels[-1] > 2 * single.labels[-1]
    assert grouped.in_grids > 0.5 * grouped.labels[-1]


def test_a_grid_takes_its_time_and_that_of_its_clicks():
    assert Person().of_grid(30, 2) == pytest.approx(1 + 0.3 * 30 + 2 * 0.8)
    assert Person().one_by_one == pytest.approx(2.3)


def test_who_overlooks_nothing_makes_no_wrong_label_and_who_overlooks_all_leaves_every_odd_one_wrong():
    hard = clusters(n=600, apart=0.9)
    assert label(hard).wrong[-1] == 0
    blind = label(hard, Person(overlooked=1.0))
    assert blind.odd > 0
    assert blind.wrong[-1] == blind.odd


def test_all_labels_are_of_different_images_and_none_of_the_test(images, monkeypatch):
    said = []
    seen = walks._Desk._say
    monkeypatch.setattr(walks._Desk, "_say", lambda self, rows, labels: (said.extend(rows.tolist()), seen(self, rows, labels)))
    came = label(images, seconds=10_000)
    pool = draw(images, Protocol(), 0).pool
    assert sorted(said) == sorted(pool.tolist())
    assert came.labels[-1] == len(pool)


def test_random_slots_are_labelled_one_by_one_in_their_share(images, monkeypatch):
    grids, samples = [], []
    grid, end = walks._Desk.label_grid, walks._Desk.label_slots
    monkeypatch.setattr(
        walks._Desk, "label_grid", lambda self, group: (grids.append(self.drawn.rows(group.tasks)), grid(self, group))
    )
    monkeypatch.setattr(walks._Desk, "label_slots", lambda self: (end(self), samples.append((self.sample, self))))
    came = label(images)
    sample, desk = samples[-1]
    drawn = desk.drawn.pool[sample.drawn]
    assert not set(np.concatenate(grids).tolist()) & set(drawn.tolist())
    assert np.isin(drawn, desk.picked).all()
    assert len(drawn) == pytest.approx(0.1 * came.labels[-1], abs=2)


def test_what_was_taken_out_of_a_grid_is_labelled_next(monkeypatch):
    after = []
    grid = walks._Desk.label_grid

    def watched(desk, group):
        grid(desk, group)
        after.append(np.isin(desk.drawn.rows(group.tasks), desk.picked).all())

    monkeypatch.setattr(walks._Desk, "label_grid", watched)
    label(clusters(n=600, apart=0.9))
    assert after
    assert all(after)


def test_equal_seeds_give_equal_walks(images):
    assert label(images, Person(), seed=3) == label(images, Person(), seed=3)


def test_what_came_of_it_is_told_as_of_the_last_round_that_had_ended(images):
    came = label(images, groups=False, seconds=60)
    assert came.at(0.0) == 0
    assert came.at(came.seconds[2]) == 2
    assert came.at(came.seconds[2] - 0.1) == 1
    assert came.at(1e9) == len(came.seconds) - 1


def test_times_of_a_person_can_be_given():
    assert person_of((("look", 2.0),)) == Person(look=2.0)


@pytest.mark.parametrize(
    ("name", "value"), [("lok", 1.0), ("look", -1.0), ("overlooked", 1.5), ("look", float("nan")), ("glance", 0.0)]
)
def test_times_that_cannot_be_are_refused(name, value):
    with pytest.raises(OptionsError, match="--person"):
        person_of(((name, value),))
