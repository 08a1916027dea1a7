"""Images of several classes or none: what every strategy promises there too, and that its formula is the one of two classes."""

import warnings

import numpy as np
import pytest

from strategies import REGISTRY, WRAPPERS, get, pick, score
from strategies.badge import Gradients
from strategies.bait import information
from strategies.query import Query
from tests.strategies.made_up import clusters, query

every_strategy = pytest.mark.parametrize("name", REGISTRY)
every_name = pytest.mark.parametrize("name", [*REGISTRY, *(f"{name}+{wrapper}" for name in REGISTRY for wrapper in WRAPPERS)])


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def several(n=50, classes=4, known=6, **others):
    """A pool of `n` images, each of any of the classes."""
    random = np.random.default_rng(0)
    p = random.beta(0.5, 0.5, (n, classes))
    members = random.beta(0.5, 0.5, (5, n, classes))
    parts = {
        "probabilities": p,
        "labels": random.random((known, classes)) < 0.5,
        "labelled_probabilities": random.random((known, classes)),
        "committee": lambda rows: members[:, rows],
        "independent": True,
    }
    return query(n, classes, known, **(parts | others))


@every_strategy
@pytest.mark.parametrize("classes", [1, 2, 20])
def test_scores_are_one_finite_number_in_0_to_1_for_each_image(name, classes):
    scores = score(name, several(classes=classes))
    assert scores.shape == (50,)
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1)).all()


@every_name
@pytest.mark.parametrize("n", [0, 1, 50])
def test_as_many_different_images_are_picked_as_asked_for_and_equal_queries_get_equal_ones(name, n):
    for size in (1, 7, 100):
        picks = pick(name, several(n, batch=3), size)
        assert len(set(picks.tolist())) == len(picks) == min(size, n)
        assert picks.tolist() == pick(name, several(n, batch=3), size).tolist()


@every_strategy
def test_a_task_scores_the_same_alone_as_in_a_batch(name):
    q = several()
    alone = [
        score(name, Query(q.tasks[i : i + 1], q.probabilities[i : i + 1], independent=True, seed=q.seed))[0] for i in range(50)
    ]
    assert alone == score(name, q).tolist()


def one_and_two(p):
    """The same question twice: of one class, is it there or not, and of two classes, which is it."""
    tasks = np.arange(len(p))
    return Query(tasks, p[:, None], independent=True), Query(tasks, np.stack([p, 1 - p], axis=1))


@pytest.mark.parametrize("name", ["least_confidence", "margin", "entropy"])
def test_one_class_that_is_there_or_not_is_a_question_of_two_classes(name):
    one, two = one_and_two(np.linspace(0, 1, 21))
    np.testing.assert_allclose(score(name, one), score(name, two), atol=1e-12)


def test_a_committee_disagrees_on_one_class_as_on_two():
    members = np.random.default_rng(0).random((5, 21))
    one, two = one_and_two(np.linspace(0, 1, 21))
    one = Query(one.tasks, one.probabilities, independent=True, committee=lambda rows: members[:, rows, None])
    two = Query(two.tasks, two.probabilities, committee=lambda rows: np.stack([members, 1 - members], axis=2)[:, rows])
    assert pick("bald", one, 21).tolist() == pick("bald", two, 21).tolist()


def test_one_class_of_which_the_head_is_unsure_makes_an_image_uncertain_however_sure_it_is_of_the_others():
    q = Query(np.arange(2), np.array([[0.99, 0.5, 0.01], [0.8, 0.2, 0.8]]), independent=True)
    assert pick("margin", q, 2).tolist() == pick("least_confidence", q, 2).tolist() == [0, 1]


def test_entropy_is_that_of_all_answers_together():
    q = Query(np.arange(2), np.array([[0.99, 0.5, 0.01], [0.8, 0.2, 0.8]]), independent=True)
    assert pick("entropy", q, 2).tolist() == [1, 0]


def test_what_an_answer_tells_about_the_weights_of_a_class_is_the_mean_over_the_classes():
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(information(p, independent=True), information(p) / 3, atol=1e-12)
    np.testing.assert_allclose(information(np.full((1, 8), 0.5), independent=True), [1 / 4])


def test_badges_gradient_is_that_of_the_set_that_is_predicted():
    gradients = Gradients(np.array([[0.9, 0.6, 0.2], [0.1, 0.2, 0.3]]), clusters([2])[0], independent=True)
    np.testing.assert_allclose(gradients.errors, [[-0.1, -0.4, 0.2], [0.1, 0.2, 0.3]], atol=1e-6)


def test_balanced_counts_an_image_for_each_of_its_classes():
    labels = np.array([[True, True, False], [True, False, False]])
    q = several(
        4, classes=3, known=2, labels=labels, probabilities=np.array([[0.9, 0, 0], [0, 0.9, 0], [0, 0, 0.9], [0, 0, 0.8]])
    )
    assert get("random+balanced").order(q, 4)[0] in (2, 3)  # nobody has labelled the third class


@pytest.mark.parametrize(
    "wrong",
    [
        {"probabilities": np.full((50, 4), 1.5)},
        {"probabilities": np.full((50, 4), np.nan)},
        {"labels": np.arange(6) % 4},
        {"labels": np.zeros((6, 3), bool)},
        {"labels": np.zeros((6, 4), int)},
    ],
)
def test_what_is_no_set_of_classes_is_refused(wrong):
    with pytest.raises(ValueError, match=r"shape|probabilities"):
        several(**wrong)
