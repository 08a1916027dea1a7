"""The filter of near-duplicates and the class balance."""

import numpy as np
import pytest

from strategies import pick
from strategies.balanced import balanced
from strategies.distinct import near_duplicate_distance
from strategies.query import Query
from strategies.strategy import Strategy
from tests.strategies.made_up import normalised

IN_ORDER = Strategy(lambda query: np.arange(len(query)) / len(query))


def photos(n, copies, classes=3, dimensions=64, seed=0):
    """`n` images of broad classes, each with `copies` near-copies, in random order: (embeddings, the image of each, its class).

    Distances as seen on ResNet50 embeddings of photos: about 1 between images, 0.35 between copies.
    """
    random = np.random.default_rng(seed)
    of = random.permutation(np.repeat(np.arange(n), copies + 1))
    image = normalised(
        0.6 * random.normal(size=(classes, dimensions))[np.arange(n) % classes] + random.normal(size=(n, dimensions))
    )
    noise = 0.25 / np.sqrt(dimensions) * random.normal(size=(len(of), dimensions))
    return normalised(image[of] + noise), of, of % classes


def query(embeddings, classes, **others):
    p = np.full((len(embeddings), 3), 0.2)
    p[np.arange(len(p)), classes] = 0.6
    return Query(np.arange(len(embeddings)), p, embeddings=embeddings, seed="al-1", **others)


@pytest.mark.parametrize("copies", [0, 1, 5])
def test_the_threshold_lies_between_copies_and_other_images_however_many_copies_there_are(copies):
    embeddings, of, classes = photos(150, copies)
    distances = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)
    tau = near_duplicate_distance(query(embeddings, classes))
    assert tau < np.quantile(distances[of[:, None] != of], 0.001)
    if copies:
        same = (of[:, None] == of) & ~np.eye(len(of), dtype=bool)
        assert tau > np.quantile(distances[same], 0.99)


def test_the_threshold_stays_below_images_of_one_class_where_classes_have_collapsed():
    """As after fine-tuning: two classes far apart, each of them small."""
    random = np.random.default_rng(0)
    classes = np.arange(200) % 3
    embeddings = normalised(np.eye(64)[classes] + 0.1 / 8 * random.normal(size=(200, 64)))
    distances = np.linalg.norm(embeddings[:, None] - embeddings, axis=2)[~np.eye(200, dtype=bool)]
    assert near_duplicate_distance(query(embeddings, classes)) < distances.min()


def test_no_pair_of_images_makes_no_threshold():
    embeddings, _, _ = photos(1, 0)
    assert near_duplicate_distance(query(embeddings, np.zeros(1, np.int64))) == 0


@pytest.mark.parametrize("name", ["random", "margin", "typiclust", "margin_kmeans", "k_center", "bait"])
def test_of_copies_only_one_is_picked(name):
    embeddings, of, classes = photos(60, 5)
    picks = pick(f"{name}+distinct", query(embeddings, classes, batch=10), 40)
    assert len(set(of[picks].tolist())) == 40


def test_copies_of_labelled_images_are_not_picked():
    embeddings, of, classes = photos(60, 5)
    held = of < 30
    q = query(embeddings[~held], classes[~held], labelled=embeddings[of < 40])
    assert sorted(of[~held][pick("margin+distinct", q, 20)].tolist()) == list(range(40, 60))


@pytest.mark.parametrize("name", ["margin", "bait", "badge"])
def test_all_that_is_new_is_found_among_many_copies_of_labelled_images(name):
    embeddings, of, classes = photos(120, 5)
    held = np.isin(np.arange(len(of)), np.unique(of, return_index=True)[1][:80])  # one copy of each that is labelled
    q = query(embeddings[~held], classes[~held], labelled=embeddings[held])
    assert sorted(of[~held][pick(f"{name}+distinct", q, 40)].tolist()) == list(range(80, 120))


def test_copies_come_last_rather_than_never():
    embeddings, of, classes = photos(60, 1)
    picks = pick("margin+distinct", query(embeddings, classes), 120)
    assert sorted(picks.tolist()) == list(range(120))
    assert len(set(of[picks[:60]].tolist())) == 60


def test_without_copies_the_filter_changes_nothing():
    embeddings, _, classes = photos(150, 0)
    q = query(embeddings, classes, labelled=photos(10, 0, seed=1)[0])
    assert pick("margin+distinct", q, 150).tolist() == pick("margin", q, 150).tolist()


def test_the_first_of_several_copies_stands_for_them():
    embeddings, of, classes = photos(60, 2)
    q = query(embeddings, classes)
    order = pick("margin", q, 180).tolist()
    firsts = sorted(order.index(i) for i in pick("margin+distinct", q, 60).tolist())
    assert firsts == sorted({int(image): rank for rank, image in reversed(list(enumerate(of[order])))}.values())


def predicted(classes, labels=(), seed="al-1"):
    """A pool whose images are predicted to be of `classes`, of three."""
    return Query(
        np.arange(len(classes)), np.eye(3)[np.array(classes)] * 0.7 + 0.1, labels=np.array(labels, np.int64), seed=seed
    )


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        ([0, 0, 0, 1, 2], [], [0, 3, 4, 1, 2]),
        ([0, 0, 0, 1, 2], [1, 1, 2], [0, 1, 4, 2, 3]),
        ([2, 1, 0, 2, 1, 0], [], [0, 1, 2, 3, 4, 5]),
        ([0, 0, 0], [0, 0, 1], [0, 1, 2]),
        ([1, 1, 0, 0], [0], [0, 1, 2, 3]),
    ],
)
def test_the_class_that_is_furthest_behind_comes_next(classes, labels, expected):
    assert balanced(IN_ORDER).order(predicted(classes, labels), 9).tolist() == expected


def test_the_balance_makes_up_for_lopsided_labels():
    random = np.random.default_rng(0)
    classes = random.permutation([0] * 180 + [1] * 60 + [2] * 60)
    picks = pick("margin+balanced", predicted(classes, [0] * 30 + [1] * 10), 50)
    assert np.bincount(classes[picks], minlength=3).tolist() == [0, 20, 30]


def test_the_balance_does_not_reach_for_images_far_down_the_order():
    classes = [0] * 500 + [1] * 500
    assert balanced(IN_ORDER).order(predicted(classes), 4).tolist() == [0, 1, 2, 3]


def test_wrappers_combine_from_the_inside_out():
    embeddings, of, classes = photos(60, 5)
    lopsided = np.where(classes == 2, 1, classes)
    picks = pick("margin+distinct+balanced", query(embeddings, lopsided, labels=np.zeros(10, np.int64)), 30)
    assert len(set(of[picks].tolist())) == 30
    assert np.bincount(lopsided[picks], minlength=2).tolist() == [10, 20]
