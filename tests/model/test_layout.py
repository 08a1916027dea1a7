"""The layout of all images in two dimensions: look-alikes together, and in their places from one layout to the next."""

import numpy as np
import pytest

from model.heads.principal import Principal
from model.layout import LEAST, among_neighbours, plane

NOWHERE = np.nan


def clouds(count, size=60, seed=0):
    """`count` clouds in ten dimensions, and which image is of which."""
    random = np.random.default_rng(seed)
    centres = 12 * np.eye(10)[:count]
    which = np.repeat(np.arange(count), size)
    return (centres[which] + random.normal(size=(len(which), 10))).astype(np.float32), which


def unplaced(points):
    return np.full((len(points), 2), NOWHERE, np.float32)


def share_of_own_kind(places, which):
    """Of how many images the nearest other one is of their own cloud."""
    apart = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    return (which[apart.argmin(axis=1)] == which).mean()


@pytest.fixture(scope="module")
def laid_out():
    points, which = clouds(4)
    return points, which, plane(points, unplaced(points))


def test_look_alikes_lie_together(laid_out):
    _, which, places = laid_out
    assert places.shape == (240, 2)
    assert share_of_own_kind(places, which) > 0.98


def test_a_layout_tells_how_far_it_is():
    points, _ = clouds(1)
    told = []
    plane(points, unplaced(points), lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]
    assert len(told) > 10


def test_with_more_images_the_others_stay_about_where_they_were(laid_out):
    points, which, places = laid_out
    more, kinds = clouds(4, size=20, seed=1)
    known = np.vstack([places, unplaced(more)])
    renewed = plane(np.vstack([points, more]), known)
    moved = np.linalg.norm(renewed[:240] - places, axis=1)
    apart = np.linalg.norm(places - np.roll(places, 120, axis=0), axis=1)
    assert np.median(moved) < 0.25 * np.median(apart)
    assert share_of_own_kind(renewed, np.append(which, kinds)) > 0.98


def test_a_new_image_lies_among_its_nearest_neighbours(laid_out):
    points, which, places = laid_out
    lies = among_neighbours(points[:1] + 0.01, points, places)
    nearest = ((places - lies) ** 2).sum(axis=1).argmin()
    assert which[nearest] == which[0]


@pytest.mark.parametrize("count", [0, 1, 2, 5, LEAST - 1])
def test_few_images_lie_as_their_principal_components_have_them(count):
    points = np.random.default_rng(0).normal(size=(count, 10)).astype(np.float32)
    places = plane(points, unplaced(points))
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_images_that_are_all_the_same_have_a_layout():
    points = np.ones((LEAST + 5, 10), np.float32)
    assert np.isfinite(plane(points, unplaced(points))).all()


def test_principal_components_keep_what_differs_most():
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 20)) * np.r_[10, 5, np.full(18, 0.1)]
    principal = Principal.of(values, 2)
    assert np.abs(principal.components[:, :2]).sum() == pytest.approx(2, abs=0.2)
    assert principal.of_each(values).std(axis=0) == pytest.approx([10, 5], rel=0.15)
    assert principal.of_each(values[:1] * 0 + principal.mean) == pytest.approx(0, abs=1e-4)


def test_there_are_no_more_components_than_images():
    assert Principal.of(np.random.default_rng(0).normal(size=(3, 20)), 50).components.shape == (3, 20)
