"""`simulate --judge`: whether what is said of heads on the images without a label holds."""

from dataclasses import replace

import numpy as np
import pytest

from backend.simulate.judging import FIGURES, Said, Verdict, as_judge_json, judge_project, judged_at
from backend.simulate.protocol import Protocol
from tests.backend.simulate.made_up import DEFAULT, clusters

SHORT = ("--start", "10", "--batch", "10", "--rounds", "1")


def test_it_plays_projects_and_tells_how_often_intervals_hold(simulate):
    run = simulate("--judge", *SHORT)
    found = run.json["judge"]
    assert run.status == 0
    assert "told as a figure" in run.out
    assert (found["labels"], found["projects"]) == ([10, 20], 2)
    for figures in (found, found["accuracy"]):
        assert all(0 <= share <= 1 for name in ("coverage", "width", "width_today") for share in figures[name])
        assert len(figures["width"]) == 2


@pytest.mark.parametrize("options", [("--one-shot",), ("--finetune", "last"), ("--groups",)])
def test_what_does_not_fit_is_refused(simulate, options):
    run = simulate("--judge", *options)
    assert run.status != 0
    assert run.json is None


def test_the_truth_is_that_of_the_images_without_a_label():
    images = clusters(n=120, apart=9)  # no head errs here
    (verdict,) = judge_project(images, Protocol(40, 20, 1), replace(DEFAULT, explore=0.25), seed=0)[:1]
    assert [verdict.said[name].truth for name in FIGURES] == [1.0, 1.0]
    assert all(verdict.said[name].holds for name in FIGURES)
    assert verdict.slots == 10
    assert verdict.said["macro_f1"].before != verdict.said["macro_f1"].interval


def test_nothing_is_judged_once_no_image_without_a_label_is_left():
    assert judged_at(Protocol(10, 10, 9), 35) == [10, 20, 30]


def verdict(truth, interval, labels=50):
    said = Said(truth, interval, (0.0, 1.0))
    return Verdict(labels, dict.fromkeys(FIGURES, said), [said.holds], told=True, slots=5)


def test_coverage_and_width_are_means_over_projects():
    found = as_judge_json([[verdict(0.8, (0.7, 0.9))], [verdict(0.8, (0.5, 0.6))], [verdict(1.0, (0.9, 1.0))]])
    assert found["coverage"] == found["accuracy"]["coverage"] == found["per_class"] == [pytest.approx(2 / 3)]
    assert found["width"] == [pytest.approx(0.4 / 3)]
    assert (found["width_today"], found["told"], found["slots"]) == ([1.0], [1.0], [5.0])
    assert np.array(found["coverage_today"]) == 1.0
