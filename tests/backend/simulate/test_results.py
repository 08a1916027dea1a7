"""Figures of one network against both baselines, by hand."""

import pytest

from backend.simulate.curves import Curve
from backend.simulate.protocol import Protocol
from backend.simulate.report import as_json, as_table
from backend.simulate.results import Results

LABELS = [10, 20, 40]


def curves(*by_seed):
    return [Curve(LABELS[-len(f1) :], list(f1), [0.1] * len(f1), []) for f1 in by_seed]


RANDOM = curves((0.5, 0.6, 0.8), (0.5, 0.7, 0.8))
STANDARD = curves((0.4, 0.6, 0.65), (0.4, 0.5, 0.65))
MARGIN = curves((0.5, 0.8, 0.9), (0.5, 0.8, 0.9))
CEILING = [Curve([100], [f1], [0.1], []) for f1 in (0.94, 0.96)]
BOTH = Results({"random": RANDOM, "standard": STANDARD, "margin": MARGIN}, CEILING)
ONE = Results({"random": RANDOM, "margin": MARGIN}, CEILING)


def figures(results):
    return as_json({"resnet50": results}, {})


def row(table, name):
    return [cell.strip() for cell in next(line for line in table.splitlines() if line.startswith(f"| {name} ")).split("|")]


def test_labels_saved_are_told_against_both_baselines():
    margin = figures(BOTH)["strategies"]["margin"]
    assert margin["labels_saved_ratio"] == pytest.approx(40 / 20)  # random ends at 0.8
    assert margin["labels_saved_ratio_standard"] == pytest.approx(40 / 15)  # standard at 0.65, halfway between 10 and 20
    assert margin["ci95_standard"] == pytest.approx([40 / 15] * 2)


def test_differences_in_area_are_told_against_both_baselines_seed_by_seed():
    margin = figures(BOTH)["strategies"]["margin"]
    # areas: margin (6.5 + 17) / 30; random (5.5 + 14) / 30 and (6 + 15) / 30; standard (5 + 12.5) / 30 and (4.5 + 11.5) / 30
    assert margin["aubc_difference"]["mean"] == pytest.approx((23.5 - (19.5 + 21) / 2) / 30)
    assert margin["aubc_difference_standard"]["mean"] == pytest.approx((23.5 - (17.5 + 16) / 2) / 30)


def test_standard_is_itself_compared_with_random():
    standard = figures(BOTH)["strategies"]["standard"]
    assert standard["labels_saved_ratio"] is None
    assert standard["labels_saved_ratio_standard"] == pytest.approx(1)


def test_without_standard_nothing_is_said_of_it():
    assert not [key for key in figures(ONE)["strategies"]["margin"] if "standard" in key]
    assert "standard" not in as_table(ONE, Protocol())


def test_the_table_shows_both_ratios():
    table = as_table(BOTH, Protocol())
    head = row(table, "sampling method")
    found = dict(zip(head, row(table, "margin"), strict=True))
    assert found["fewer labels than random"].startswith("2.00 (")
    assert found["fewer labels than standard"] == "2.67 (2.67 to 2.67)"
    assert dict(zip(head, row(table, "standard"), strict=True))["fewer labels than standard"] == ""


def test_what_is_never_reached_is_said_to_save_nothing():
    head = row(as_table(BOTH, Protocol()), "sampling method")
    found = dict(zip(head, row(as_table(BOTH, Protocol()), "standard"), strict=True))
    assert found["fewer labels than random"] == "under 1"


def test_one_query_has_differences_in_f1_alone():
    head = row(as_table(BOTH, Protocol(one_shot=True)), "sampling method")
    assert [cell for cell in head if "against" in cell] == ["F1 against random", "F1 against standard"]
    assert not [cell for cell in head if "AUBC" in cell or "labels" in cell]


def test_the_ceiling_has_a_line_and_its_lift():
    found = row(as_table(BOTH, Protocol()), "ceiling")
    assert found[2] == "all 100"
    assert found[3].startswith("0.950 +- ")
    assert found[4] == "+45.0"
