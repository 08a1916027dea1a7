"""Labelling by people who err: what each way spends its answers on."""

from dataclasses import replace

import pytest

from backend.simulate.crowd.labelling import AGAIN, MAJORITY, ONCE, TRUE, WEIGHED, label
from backend.simulate.crowd.people import Crowd
from backend.simulate.protocol import Protocol
from tests.backend.simulate.made_up import DEFAULT, clusters

QUICK = replace(DEFAULT, head="plain")
PROTOCOL = Protocol(start=40, batch=40, rounds=3)


@pytest.fixture(scope="module")
def images():
    return clusters(n=400, apart=1.0)


@pytest.fixture(scope="module")
def came(images):
    """What comes of each way at the same errors."""
    ways = {way: Crowd(1, 0.2) for way in (TRUE, ONCE, AGAIN)} | {way: Crowd(3, 0.2) for way in (MAJORITY, WEIGHED)}
    return {way: label(images, PROTOCOL, QUICK, crowd, way, seed=0) for way, crowd in ways.items()}


@pytest.mark.parametrize("way", [TRUE, ONCE, AGAIN])
def test_all_answers_are_given_and_no_more(came, way):
    assert came[way].answers == [0, 40, 80, 120, 160]


@pytest.mark.parametrize("way", [MAJORITY, WEIGHED])
def test_the_last_image_of_a_round_gets_all_its_answers(came, way):
    assert 160 <= came[way].answers[-1] <= 162


def test_without_errors_no_label_is_wrong_and_asked_once_as_many_as_answers_are(came):
    assert came[TRUE].wrong[-1] == 0
    assert came[ONCE].wrong[-1] == pytest.approx(0.2, abs=0.08)
    assert came[ONCE].images == came[TRUE].images == 160


def test_who_is_asked_again_about_doubtful_labels_gives_fewer_images_of_which_fewer_labels_are_wrong(came):
    assert 80 <= came[AGAIN].images < 160
    assert came[AGAIN].wrong[-1] < 0.7 * came[ONCE].wrong[-1]


def test_three_people_answer_a_third_of_the_images(came):
    assert came[MAJORITY].images <= 54
    assert came[WEIGHED].images <= 54


def test_a_majority_leaves_ties_that_others_are_asked_about(came):
    assert max(came[MAJORITY].without) > 0
    assert came[MAJORITY].images < 54


def test_between_rounds_f1_lies_on_a_line(came):
    once = came[ONCE]
    assert once.at(60) == pytest.approx((once.macro_f1[1] + once.macro_f1[2]) / 2)


def test_equal_seeds_give_equal_labellings(images, came):
    assert label(images, PROTOCOL, QUICK, Crowd(1, 0.2), AGAIN, seed=0) == came[AGAIN]
