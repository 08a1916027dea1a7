"""True classes from the answers of people who err: published values, Bayes by hand, and what few answers may not do."""

import numpy as np
import pytest

from model.heads.dawid_skene import Answers, dawid_skene

# Dawid & Skene 1979, table 1: five anaesthetists on 45 patients, classes 1 to 4; the first looked at each patient three times.
PATIENTS = """
    1111111 3334334 1122122 2223121 2223222 2223322 1222111 3333433 2222223 2322223 4444444 2223343 1111111 2223212 1211111
    1112111 1111111 1111111 2222221 2221322 2222222 2222221 2223222 2212222 1111111 1111111 2322222 1111111 1111111 1121121
    1111111 3333233 1111111 2222222 2223232 4334343 2212232 2323233 3333432 1111111 1111111 1212111 2322222 1211111 2222222
""".split()  # noqa: SIM905  a table is read more easily so
OBSERVERS = (0, 0, 0, 1, 2, 3, 4)


def answers(images, people, choices, classes=2):
    images, people, choices = (np.array(values, np.int64) for values in (images, people, choices))
    return Answers(images, people, choices, int(images.max()) + 1, int(people.max()) + 1, classes)


def crowd(truth, rights, seed=0):
    """Everybody answers about every image, each so often right."""
    random = np.random.default_rng(seed)
    right = random.random((len(rights), len(truth))) < np.array(rights)[:, None]
    people, images = np.indices(right.shape).reshape(2, -1)
    return answers(images, people, np.where(right, truth, 1 - truth).ravel())


@pytest.fixture(scope="module")
def published():
    images, places = np.indices((len(PATIENTS), len(OBSERVERS))).reshape(2, -1)
    choices = [int(PATIENTS[image][place]) - 1 for image, place in zip(images, places, strict=True)]
    return dawid_skene(answers(images, np.array(OBSERVERS)[places], choices, 4), worth=0)


def test_the_shares_of_the_classes_are_those_that_dawid_and_skene_published(published):
    assert published.probabilities.mean(axis=0).round(2).tolist() == [0.40, 0.42, 0.11, 0.07]


def test_the_table_of_the_first_observer_is_the_published_one(published):
    table = [[0.89, 0.11, 0, 0], [0.07, 0.88, 0.05, 0], [0, 0.34, 0.66, 0], [0, 0, 0.56, 0.44]]
    assert published.tables[0] == pytest.approx(np.array(table), abs=0.006)


def test_each_image_follows_from_the_tables_by_bayes():
    truth = np.random.default_rng(1).integers(2, size=60)
    given, beforehand = crowd(truth, (0.9, 0.7, 0.6)), np.tile([0.7, 0.3], (60, 1))
    found = dawid_skene(given, beforehand)
    by_hand = beforehand.copy()
    for image, person, choice in zip(given.images, given.people, given.choices, strict=True):
        by_hand[image] *= found.tables[person, :, choice]
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    assert found.probabilities == pytest.approx(by_hand, abs=1e-4)


def test_tables_and_probabilities_sum_to_one():
    found = dawid_skene(crowd(np.arange(50) % 2, (0.9, 0.7)))
    assert found.tables.sum(axis=2) == pytest.approx(1)
    assert found.probabilities.sum(axis=1) == pytest.approx(1)


def test_who_is_mostly_right_weighs_more_than_two_who_guess():
    truth = np.random.default_rng(2).integers(2, size=300)
    given = crowd(truth, (0.97, 0.6, 0.6, 0.6))
    wrong_by_vote = (given.votes().argmax(axis=1) != truth).mean()
    found = dawid_skene(given)
    assert (found.probabilities.argmax(axis=1) != truth).mean() < wrong_by_vote / 2
    assert np.einsum("pcc->p", found.tables).argmax() == 0


def test_a_class_that_is_known_stays_and_tells_who_is_right():
    given = answers([0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4, [0, 1, 1, 0, 0, 1, 1, 0])
    found = dawid_skene(given, known=np.array([1, 0, 1, -1]))
    assert found.probabilities[:3].argmax(axis=1).tolist() == [1, 0, 1]
    assert found.probabilities[3].argmax() == 0  # as the second person says, who was right three times


def test_one_answer_each_is_believed():
    choices = np.arange(40) % 3
    found = dawid_skene(answers(np.arange(40), np.arange(40) % 2, choices, 3))
    assert found.probabilities.argmax(axis=1).tolist() == choices.tolist()


def test_a_classifier_settles_what_people_leave_even():
    given = answers([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1])
    found = dawid_skene(given, beforehand=np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert found.probabilities.argmax(axis=1).tolist() == [0, 1]


def test_a_classifier_that_is_quite_sure_is_overruled_by_enough_people():
    given = answers([0] * 8, range(8), [1] * 8)
    assert dawid_skene(given, beforehand=np.array([[1.0, 0.0]])).probabilities[0].argmax() == 1


def test_nobody_says_anything_of_an_image():
    found = dawid_skene(Answers(np.array([1]), np.array([0]), np.array([0]), 2, 1, 2))
    assert found.probabilities[0].sum() == pytest.approx(1)
