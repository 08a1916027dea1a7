"""How each batch strategy picks, worked out by hand on pools small enough to see through."""

import sys

import numpy as np
import pytest

from strategies import pick, score
from strategies.arrays.clusters import cluster, spread_out
from strategies.arrays.stages import pick_in_stages, stages
from strategies.arrays.vectors import compact, nearest_squared_distance, squared_distances
from strategies.query import Query
from strategies.typiclust import typicality
from tests.strategies.made_up import clusters, normalised, query

EVEN, SURE = [0.5, 0.5], [0.9, 0.1]


def at(*angles):
    """Points on the unit circle, angles in degrees, float32 of shape (n, 2)."""
    turns = np.radians(angles)
    return np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)


def pool(embeddings, p=None, **others):
    p = np.full((len(embeddings), 2), 0.5) if p is None else np.array(p, np.float64)
    return Query(np.arange(len(embeddings)), p, embeddings=embeddings, seed="al-1", **others)


@pytest.mark.parametrize("name", ["k_center", "badge", "bait", "typiclust", "margin_kmeans"])
def test_a_task_by_itself_is_scored_by_its_margin(name):
    assert score(name, query()).tolist() == score("margin", query()).tolist()


def test_a_task_by_itself_is_scored_by_entropy_under_bald():
    assert score("bald", query()).tolist() == score("entropy", query()).tolist()


def test_bald_picks_where_heads_disagree_not_where_they_all_hesitate():
    said = np.array([[EVEN, [1, 0], SURE], [EVEN, [0, 1], SURE]])
    q = pool(at(0, 1, 2), committee=lambda rows: said[:, rows])
    assert pick("bald", q, 1).tolist() == [1]


def test_bald_asks_the_committee_for_each_row_once(monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.arrays.chunks"], "CHUNK", 64)
    asked = []

    def committee(rows):
        asked.extend(range(25)[rows])
        return np.full((3, len(range(25)[rows]), 2), 0.5)

    pick("bald", pool(at(*range(25)), committee=committee), 5)
    assert sorted(asked) == list(range(25))


def test_k_center_goes_to_the_farthest_each_time():
    assert pick("k_center", pool(at(10, 40, 90, 180), labelled=at(0)), 4).tolist() == [3, 2, 1, 0]


def test_k_center_covers_before_it_fills():
    found, of = clusters([30] * 6, noise=0.2)
    assert sorted(of[pick("k_center", pool(found), 6)].tolist()) == list(range(6))


def farthest_first(query, size):
    """k-center as it is defined: each distance looked at after each pick."""
    nearest = nearest_squared_distance(query.vectors(), query.labelled_vectors())
    picks = []
    for _ in range(size):
        farthest = np.flatnonzero(nearest == nearest.max())
        picks.append(int(farthest[query.hashes[farthest].argmin()]))
        nearest = np.minimum(nearest, nearest_squared_distance(query.vectors(), query.vectors(np.array(picks))))
        nearest[picks] = -1
    return picks


@pytest.mark.parametrize("known", [0, 10])
@pytest.mark.parametrize("copies", [1, 4])
def test_k_center_makes_the_same_picks_when_it_looks_at_a_few_images_at_a_time(known, copies, monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.k_center"], "AT_LEAST", 15)
    monkeypatch.setattr(sys.modules["strategies.k_center"], "AT_MOST", 15)
    found = clusters([20] * 6, noise=0.5)[0].repeat(copies, axis=0)
    q = pool(found, labelled=found[:known])
    assert pick("k_center", q, 60).tolist() == farthest_first(q, 60)


def radius(query, picks):
    """The distance of the image farthest from its nearest labelled image or pick."""
    near = np.minimum(*(nearest_squared_distance(query.vectors(), v) for v in (query.labelled_vectors(), query.vectors(picks))))
    return np.sqrt(near.max())


def test_k_center_covers_a_large_pool_as_well_by_estimates_as_by_exact_distances(monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.arrays.estimates"], "EXACT", 1000)
    monkeypatch.setattr(sys.modules["strategies.k_center"], "AT_LEAST", 200)
    monkeypatch.setattr(sys.modules["strategies.k_center"], "AT_MOST", 200)
    random = np.random.default_rng(0)
    fading = np.arange(1, 257) ** -0.75  # from the principal dimension to the last, as those of images do
    q = pool(normalised(random.normal(size=(3000, 256)) * fading).astype(np.float16))
    estimated, exact = radius(q, pick("k_center", q, 50)), radius(q, np.array(farthest_first(q, 50)))
    by_chance = radius(q, random.choice(3000, 50, replace=False))
    assert estimated < 1.02 * exact
    assert by_chance > 1.05 * exact


def test_badge_begins_with_the_largest_gradient():
    assert pick("badge", pool(at(0, 120, 240), [SURE, EVEN, SURE]), 1).tolist() == [1]


def test_badge_picks_certain_images_once_at_most_as_their_gradients_are_all_nought():
    certain = [[1, 0]] * 50 + [EVEN] * 10
    assert (pick("badge", pool(at(*range(0, 360, 6)), certain), 11) < 50).sum() == 1


def test_badge_does_not_pick_a_copy_while_others_differ():
    assert set(pick("badge", pool(at(*[0] * 40, 90, 180, 270)), 4).tolist()) > {40, 41, 42}


def test_badge_takes_the_lowest_margin_where_no_gradient_differs():
    assert pick("badge", pool(at(0, 0, 0), [SURE, EVEN, SURE]), 2)[0] == 1
    certain = pool(at(0, 90, 180), [[1, 0]] * 3)
    assert pick("badge", certain, 3).tolist() == np.argsort(certain.hashes).tolist()


def test_typiclust_takes_the_densest_place_of_the_largest_cluster_first():
    dense, sparse = at(-3, -2, -1, -0.1, 0, 0.1, 1, 2, 3), at(*np.linspace(100, 160, 15))
    picks = pick("typiclust", pool(np.vstack([dense, sparse])), 2)
    assert picks[0] >= 9
    assert picks[1] == 4


def test_typiclust_goes_to_clusters_without_labels_first():
    found, of = clusters([40, 30, 20, 10], noise=0.2)
    q = pool(found, labelled=found[:1])
    assert of[pick("typiclust", q, 3)].tolist() == [1, 2, 3]


def test_typiclust_leaves_outliers_for_last():
    found, of = clusters([30, 30, 2, 2], noise=0.2)
    assert set(of[pick("typiclust", pool(found), 4)].tolist()) == {0, 1}


def test_typiclust_finds_nearly_as_typical_images_in_a_sample_of_a_large_pool(monkeypatch):
    """Clusters that are dense in the middle, as classes of images are; chance picks are half as typical."""
    random = np.random.default_rng(0)
    found, of = clusters([600] * 5, dimensions=32, noise=0)
    found = normalised(found + random.exponential(size=(3000, 1)) * random.normal(size=(3000, 32)) / np.sqrt(32))
    typical = {c: typicality(found[of == c]) for c in range(5)}

    def typicality_of(picks):
        return np.mean([typical[of[i]][np.searchsorted(np.flatnonzero(of == of[i]), i)] for i in picks])

    everything = pick("typiclust", pool(found), 5)
    monkeypatch.setattr(sys.modules["strategies.typiclust"], "SAMPLE", 1000)
    sampled = pick("typiclust", pool(found), 5)
    assert sorted(of[sampled].tolist()) == list(range(5))
    assert typicality_of(sampled) > 0.9 * typicality_of(everything)
    assert typicality_of(random.choice(3000, 500)) < 0.6 * typicality_of(everything)


def test_margin_kmeans_spreads_over_the_most_uncertain():
    angles, p = [*range(20), *range(180, 200), *range(90, 110)], [EVEN] * 40 + [SURE] * 20
    picks = pick("margin_kmeans", pool(at(*angles), p), 4)
    assert (picks < 40).all()
    assert sorted((picks // 20).tolist()) == [0, 0, 1, 1]


def test_margin_kmeans_takes_the_image_nearest_each_centre():
    q = pool(at(0, 10, 17, 180, 188, 200))
    assert set(pick("margin_kmeans", q, 2).tolist()) == {1, 4}


def test_margin_kmeans_puts_the_lowest_margin_first():
    q = pool(at(0, 180, 90), [[0.6, 0.4], EVEN, [0.7, 0.3]])
    assert pick("margin_kmeans", q, 3).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("size", "batch", "expected"),
    [(200, 10, [10, 10, 20, 40, 80, 40]), (5, 10, [5]), (7, 0, [7]), (0, 10, []), (1, 1, [1]), (4, 1, [1, 1, 2])],
)
def test_stages_double(size, batch, expected):
    assert stages(size, batch) == expected


def test_each_stage_knows_what_the_earlier_ones_picked():
    seen = []

    def choose(picked, n):
        seen.append((picked.tolist(), n))
        return np.arange(len(picked), len(picked) + n)

    assert pick_in_stages(5, 1, choose).tolist() == [0, 1, 2, 3, 4]
    assert seen == [([], 1), ([0], 1), ([0, 1], 2), ([0, 1, 2, 3], 1)]


def test_in_stages_the_first_few_cover_the_clusters_that_all_of_them_cover():
    found, of = clusters([60] * 5, noise=0.3)
    first = of[pick("typiclust", pool(found, batch=5), 100)[:5]]
    assert sorted(first.tolist()) == list(range(5))


def test_k_means_finds_clear_clusters():
    found, of = clusters([50, 30, 20, 40], noise=0.2)
    assigned, centres = cluster(found, 4, np.random.default_rng(0))
    assert len({(a, b) for a, b in zip(assigned.tolist(), of.tolist(), strict=True)}) == 4
    assert np.linalg.norm(found - centres[assigned], axis=1).max() < 0.5


def test_k_means_on_a_sample_assigns_every_point(monkeypatch):
    monkeypatch.setattr(sys.modules["strategies.arrays.clusters"], "SAMPLE", (60, 1))
    found, of = clusters([100, 100, 100], noise=0.2)
    assigned, _ = cluster(found, 3, np.random.default_rng(0))
    assert len({(a, b) for a, b in zip(assigned.tolist(), of.tolist(), strict=True)}) == 3


def test_spreading_out_takes_no_point_twice():
    points = at(*[0] * 20, 90)
    drawn = spread_out(
        lambda rows: squared_distances(points, points[rows]), 0, 21, np.arange(21)[::-1], np.random.default_rng(0)
    )
    assert drawn[:2].tolist() == [0, 20]
    assert drawn[2:].tolist() == list(range(19, 0, -1))


def test_spreading_out_takes_no_point_twice_where_rounding_keeps_it_away_from_itself():
    drawn = spread_out(lambda rows: np.full((20, len(rows)), 1e-9, np.float32), 3, 20, np.arange(20), np.random.default_rng(0))
    assert sorted(drawn.tolist()) == list(range(20))


def test_typicality_in_a_small_cluster_looks_at_half_of_it():
    line = np.array([[0.0], [1], [3], [7]], np.float32)
    assert typicality(line) == pytest.approx(1 / (np.array([2, 1.5, 2.5, 5]) + 1e-5), rel=1e-5)


def test_squared_distances_are_those_of_numpy():
    a, b = normalised(np.random.default_rng(0).normal(size=(30, 8))), at(0, 90).repeat(4, axis=1)
    expected = np.linalg.norm(a[:, None].astype(np.float64) - b, axis=2) ** 2
    assert squared_distances(a, b) == pytest.approx(expected, abs=1e-5)
    assert nearest_squared_distance(a, b) == pytest.approx(expected.min(axis=1), abs=1e-5)
    assert np.isinf(nearest_squared_distance(a, b[:0])).all()


def test_a_projection_keeps_distances_within_a_few_tenths():
    random = np.random.default_rng(0)
    found = normalised(random.normal(size=(200, 2048)))
    both = compact(pool(found, labelled=found[:10]), exact=100)
    assert both.shape == (210, 128)
    assert both[200:] == pytest.approx(both[:10], abs=1e-6)
    far = ~np.eye(200, dtype=bool)
    ratio = squared_distances(both[:200], both[:200])[far] / squared_distances(found, found)[far]
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert ratio.std() < 0.2


def test_few_dimensions_are_not_projected():
    assert compact(pool(at(*range(50))), exact=10).shape == (50, 2)


@pytest.mark.parametrize("name", ["k_center", "typiclust", "badge", "bait", "margin_kmeans"])
def test_a_large_pool_is_covered_too(name, monkeypatch):
    """The ways taken with large pools: projected, sampled, prefiltered, read in chunks."""
    for module, limit, value in [
        ("arrays.vectors", "PROJECTED", 64),
        ("typiclust", "UNPROJECTED", 50),
        ("typiclust", "SAMPLE", 300),
        ("typiclust", "MEMBERS", 30),
        ("badge", "EXACT", 50),
        ("arrays.estimates", "EXACT", 50),
        ("k_center", "AT_LEAST", 50),
        ("bait", "CROWD", 100),
        ("bait", "CANDIDATES", (50, 300)),
        ("arrays.clusters", "SAMPLE", (300, 1)),
        ("arrays.chunks", "CHUNK", 2**12),
    ]:
        monkeypatch.setattr(sys.modules[f"strategies.{module}"], limit, value)
    monkeypatch.setattr(compact, "__defaults__", (50,))
    found, of = clusters([100] * 6, dimensions=256, noise=0.3)
    picks = pick(name, pool(found.astype(np.float16), labelled=found[:1]), 12)
    assert len(set(picks.tolist())) == 12
    assert set(of[picks].tolist()) >= {1, 2, 3, 4, 5}
