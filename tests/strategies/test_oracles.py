"""The same scores and picks as modAL and scikit-activeml on random inputs. They are too slow to ship, and right."""

import numpy as np
import pytest
import scipy.stats
from modAL.models import ActiveLearner
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, CoreSet, TypiClust, average_kl_divergence
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from strategies import pick, score
from strategies.arrays.clusters import assign, lloyd
from strategies.badge import Gradients
from strategies.bald import disagreement
from strategies.query import Query
from strategies.typiclust import typicality
from tests.strategies.made_up import clusters, committee_on, normalised

CLASSES = 4


@pytest.fixture(scope="module")
def points():
    """300 unlabelled embeddings, and 20 labelled ones of every class."""
    return normalised(np.random.default_rng(0).normal(size=(320, 12)))


@pytest.fixture(scope="module")
def labels():
    return np.arange(20) % CLASSES


@pytest.fixture(scope="module")
def learner(points, labels):
    """A logistic regression on the labelled images, in modAL's hands."""
    return ActiveLearner(LogisticRegression(C=10), X_training=points[300:], y_training=labels)


@pytest.fixture(scope="module")
def query(points, labels, learner):
    p = learner.predict_proba(points[:300])
    return Query(np.arange(300), p, embeddings=points[:300], labelled=points[300:], labels=labels, seed="al-1")


def for_skactiveml(points, labels):
    """scikit-activeml's (X, y): every embedding, with NaN for the class of what is not labelled."""
    return points.astype(np.float64), np.concatenate([np.full(len(points) - len(labels), np.nan), labels])


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("least_confidence", lambda *asked: 1 - classifier_uncertainty(*asked)),
        ("margin", classifier_margin),
        ("entropy", lambda *asked: 1 - classifier_entropy(*asked) / np.log(CLASSES)),
    ],
)
def test_pointwise_scores_are_those_of_modal(name, theirs, query, learner, points):
    assert score(name, query) == pytest.approx(theirs(learner, points[:300]), abs=1e-6)


def test_bald_is_the_mean_divergence_of_the_members_from_their_mean(query, points):
    committee = committee_on(points, CLASSES, members=7)
    asked = Query(query.tasks, query.probabilities, committee=committee)
    theirs = average_kl_divergence(committee(np.arange(300)))
    assert theirs.max() > 0.1
    assert disagreement(asked) == pytest.approx(1 - theirs / np.log(CLASSES), abs=1e-6)


def test_k_center_picks_as_core_set_does(query, points, labels):
    theirs = CoreSet(random_state=0).query(*for_skactiveml(points, labels), batch_size=40)
    assert pick("k_center", query, 40).tolist() == theirs.tolist()


@pytest.mark.parametrize("labelled_of", [[], [0, 1], [0, 0, 1]])
def test_typiclust_picks_the_same_images_of_clusters_that_are_clear(labelled_of):
    """k is 20 in both where clusters hold 41 and more; as many clusters as |L| + B, so that each finds the same ones."""
    budget = 3
    sizes = [60 + 7 * c for c in range(len(labelled_of) + budget)]
    found, of = clusters(sizes, dimensions=24, noise=0.3)
    held = np.array([np.flatnonzero(of == c)[i] for i, c in enumerate(labelled_of)], np.int64)
    rest = np.setdiff1d(np.arange(len(found)), held)
    q = Query(rest, np.ones((len(rest), 1)), embeddings=found[rest], labelled=found[held], seed="al-1")
    ours = pick("typiclust", q, budget)
    theirs = TypiClust(random_state=0, k=20, cluster_algo_dict={"n_init": 10}).query(
        *for_skactiveml(found[[*rest, *held]], np.zeros(len(held))), batch_size=budget
    )
    assert ours.tolist() == theirs.tolist()


def test_typicality_is_the_inverse_of_the_mean_distance_to_the_nearest(points):
    distances = np.sort(np.linalg.norm(points[:, None].astype(np.float64) - points, axis=2), axis=1)
    assert typicality(points) == pytest.approx(1 / (distances[:, 1:21].mean(axis=1) + 1e-5), rel=1e-4)


def materialised(query):
    """Gradient embeddings in full, of shape (N, C D)."""
    p = query.probabilities
    return ((p - np.eye(CLASSES)[p.argmax(axis=1)])[:, :, None] * query.embeddings[:, None, :]).reshape(len(p), -1)


def test_badge_distances_are_those_of_the_materialised_gradients(query):
    gradients, full = Gradients(query.probabilities, query.embeddings), materialised(query)
    to = np.array([0, 17, 299])
    expected = ((full[:, None] - full[to]) ** 2).sum(axis=2)
    assert gradients.squared_distances(to) == pytest.approx(expected, abs=1e-5)


def test_badge_begins_and_weighs_its_next_picks_as_theirs_does(query, points, labels):
    X, y = for_skactiveml(points, labels)
    classifier = SklearnClassifier(LogisticRegression(C=10), classes=range(CLASSES)).fit(X, y)
    theirs, weights = Badge(random_state=0).query(X, y, classifier, fit_clf=False, batch_size=8, return_utilities=True)
    theirs = np.array(theirs)
    gradients = Gradients(query.probabilities, query.embeddings)
    nearest = gradients.squares.astype(np.float64)  # theirs counts the origin as a pick; the authors' code does not, nor do we
    assert pick("badge", query, 1)[0] == theirs[0]
    for step in range(1, 8):
        nearest = np.minimum(nearest, gradients.squared_distances(theirs[[step - 1]])[:, 0])
        left = np.setdiff1d(np.arange(300), theirs[:step])
        assert (nearest / nearest.sum())[left] == pytest.approx(weights[step, left], abs=1e-6)


def test_badge_draws_its_second_pick_in_proportion_to_the_squared_distance(query):
    gradients = Gradients(query.probabilities, query.embeddings)
    of = [Query(query.tasks, query.probabilities, embeddings=query.embeddings, seed=f"al-{n}") for n in range(1500)]
    seconds = [pick("badge", q, 2)[1] for q in of]
    weights = gradients.squared_distances(pick("badge", query, 1))[:, 0].astype(np.float64)
    group = np.argsort(np.argsort(weights)) // 30  # ten groups of images, from near to far
    expected = np.bincount(group, weights) / weights.sum() * len(seconds)
    assert scipy.stats.chisquare(np.bincount(group[seconds], minlength=10), expected).pvalue > 0.001


def test_k_means_ends_where_scikit_learn_ends_from_the_same_start(points):
    start = points[:10]
    theirs = KMeans(10, init=start, n_init=1, max_iter=20, tol=0).fit(points)
    ours = lloyd(points, start)
    assert ours == pytest.approx(theirs.cluster_centers_, abs=1e-5)
    assert (assign(points, ours) == theirs.labels_).all()
