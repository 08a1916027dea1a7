"""Networks compared on the same draws, by hand."""

import pytest

from backend.simulate.comparison import as_comparison
from backend.simulate.curves import Curve
from backend.simulate.report import as_csv, as_json
from backend.simulate.results import Results

LABELS = [10, 20, 40]
NOISE = (0.0, 0.01, -0.01, 0.02)  # of the seeds, the same for every network


def results(above):
    """Curves that lie `above` those of another call, in each seed by the same."""
    random = [Curve(LABELS, [value + above + noise for value in (0.5, 0.6, 0.7)], [0.1] * 3, []) for noise in NOISE]
    default = [Curve(LABELS, [value + above + noise for value in (0.5, 0.7, 0.8)], [0.1] * 3, []) for noise in NOISE]
    return Results({"random": random, "default": default}, [Curve([90], [0.9 + above], [0.1], [])] * len(NOISE))


def test_each_network_is_paired_with_the_first():
    found = as_json({"resnet50": results(0.0), "vgg16": results(-0.05)}, {})["backbones"]
    assert found["resnet50"]["against_first"]["default"]["aubc_difference"]["mean"] == 0
    difference = found["vgg16"]["against_first"]["default"]["aubc_difference"]
    assert difference["mean"] == pytest.approx(-0.05)
    assert difference["ci95"] == pytest.approx([-0.05, -0.05])  # the seeds' noise falls out


def test_the_first_network_s_figures_stand_where_those_of_a_single_one_do():
    both, alone = (as_json(networks, {}) for networks in ({"a": results(0.0), "b": results(0.1)}, {"a": results(0.0)}))
    assert both["strategies"] == alone["strategies"] == both["backbones"]["a"]["strategies"]
    assert "backbones" not in alone


def test_the_table_has_a_line_for_each_network():
    lines = as_comparison({"resnet50": results(0.0), "vgg16": results(-0.05)}).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["resnet50", "vgg16"]
    assert "-5.0 (-5.0 to -5.0)" in lines[3]
    assert "-5.0" not in lines[2]


@pytest.mark.parametrize(
    ("above", "said"),
    [
        (0.02, "Best for these images: other, +2.0 (+2.0 to +2.0) points of AUBC above resnet50 by default."),
        (-0.02, "Best for these images: resnet50; other has no higher AUBC by default."),
    ],
)
def test_the_best_network_is_named(above, said):
    assert as_comparison({"resnet50": results(0.0), "other": results(above)}).splitlines()[-1] == said


def test_a_lead_within_chance_is_told_as_such():
    one, other = results(0.0), results(0.0)
    for seed, curve in enumerate(other.curves["default"]):
        curve.macro_f1[1] += 0.1 if seed == 0 else -0.01
    assert "but not beyond chance: " in as_comparison({"resnet50": one, "other": other}).splitlines()[-1]


def test_points_say_which_network_made_them():
    lines = as_csv({"a": results(0.0), "b": results(0.1)}, range(len(NOISE))).splitlines()
    assert lines[0].startswith("backbone,strategy,")
    assert {line.split(",")[0] for line in lines[1:]} == {"a", "b"}
