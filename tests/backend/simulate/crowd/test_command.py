"""`simulate --noise`: from options to table and files."""

import csv

import numpy as np
import pytest

from backend.simulate.crowd.compared import Compared, as_crowd_table
from backend.simulate.crowd.labelling import AGAIN, MAJORITY, ONCE, TRUE, WEIGHED, Labelling
from backend.simulate.crowd.people import Crowd

QUICK = ("--noise", "0.2", "--rounds", "2")


def test_it_tells_what_errors_cost_and_what_asking_again_brings(simulate, place):
    run = simulate(*QUICK, "--csv", str(place.cache / "crowd.csv"))
    assert run.status == 0
    assert f"{ONCE} against {TRUE}" in run.out
    assert f"{AGAIN} against {ONCE}" in run.out
    assert {way: len(figures["macro_f1"]) for way, figures in run.json["ways"].items()} == {TRUE: 2, ONCE: 2, AGAIN: 2}
    lines = list(csv.DictReader((place.cache / "crowd.csv").read_text().splitlines()))
    assert {line["way"] for line in lines} == {TRUE, ONCE, AGAIN}


def test_of_several_people_weighing_is_compared_with_the_majority(simulate):
    run = simulate(*QUICK, "--annotators", "3", "--confusion", "alike")
    assert set(run.json["ways"]) == {TRUE, ONCE, MAJORITY, WEIGHED}
    assert run.json["crowd"]["each"] == 3
    assert run.json["crowd"]["confusion"] == "alike"
    assert f"{WEIGHED} against {MAJORITY}" in run.out


@pytest.mark.parametrize(
    "options",
    [
        ("--annotators", "3"),
        ("--confusion", "alike"),
        ("--noise", "1.5"),
        ("--noise", "0.1", "--groups"),
        ("--noise", "0.1", "--one-shot"),
    ],
)
def test_what_does_not_fit_is_refused(simulate, options):
    run = simulate(*options)
    assert run.status != 0
    assert run.json is None


def labelling(*f1):
    return Labelling([0, 20, 40], [0.0, *f1], [0.0, 0.1, 0.1], [0.0, 0.0, 0.0], [(0.9, True), (0.7, False)], [0, 20, 40])


def test_differences_are_paired_and_the_area_counts():
    compared = Compared(
        {TRUE: [labelling(0.9, 1.0)] * 2, ONCE: [labelling(0.5, 0.6), labelling(0.6, 0.7)], AGAIN: [labelling(0.6, 0.7)] * 2},
        Crowd(1, 0.1),
        [20, 40],
    )
    assert compared.difference(AGAIN, ONCE).mean == pytest.approx(0.05)
    assert compared.aubc(TRUE).mean == pytest.approx(0.95)
    table = as_crowd_table(compared)
    assert "-35.0 (" in table
    assert "80.0% on average; 50.0% were" in table


def test_seeds_and_answers_make_the_curves(simulate):
    ways = simulate(*QUICK).json["ways"]
    assert np.array(ways[ONCE]["macro_f1"]).shape == (2, 3)
