"""`simulate --groups`: both ways at equal time, from options to files."""

import csv
import shutil

import pytest

from backend.simulate.person import Person
from backend.simulate.walk import Walk
from backend.simulate.walks import IN_GROUPS, SINGLY, Compared, as_walks_table


def test_it_compares_both_ways_and_writes_every_round(simulate, place):
    run = simulate("--groups", "--minutes", "1", "--csv", str(place.cache / "walks.csv"))
    assert run.status == 0
    assert "one by one: labels" in run.out
    assert "Grids:" in run.out
    assert set(run.json["walks"]) == {SINGLY, IN_GROUPS}
    assert [len(run.json["walks"][way]) for way in (SINGLY, IN_GROUPS)] == [2, 2]
    lines = list(csv.DictReader((place.cache / "walks.csv").read_text().splitlines()))
    assert {line["way"] for line in lines} == {SINGLY, IN_GROUPS}
    assert {line["seed"] for line in lines} == {"0", "1"}


def test_no_standard_embeddings_are_made_for_it(simulate, place):
    shutil.rmtree(next(path for path in (place.cache / "embeddings").iterdir() if "crop" in path.name))
    assert simulate("--groups", "--minutes", "0.2", "--standard").status == 0


def test_processes_change_nothing(simulate):
    alone, together = (simulate("--groups", "--minutes", "0.5", "--jobs", jobs).json for jobs in ("1", "2"))
    assert alone == together


def test_the_times_of_the_person_are_options(simulate):
    run = simulate("--groups", "--minutes", "0.5", "--person", "look=10", "overlooked=0")
    assert run.json["person"] == vars(Person(look=10.0, overlooked=0.0))


@pytest.mark.parametrize(
    "options", [("--one-shot",), ("--finetune", "last"), ("--person", "lok=1"), ("--person", "look"), ("--minutes", "0")]
)
def test_what_does_not_fit_is_refused(simulate, options):
    run = simulate("--groups", *options)
    assert run.status != 0
    assert run.json is None


def compared(*in_groups):
    single = [Walk([0.0, 23.0, 46.0], [0, 10, 20], [0, 0, 0], [0.0, 0.5, 0.6], 0, 0.0, 0, 0)] * len(in_groups)
    return Compared({SINGLY: single, IN_GROUPS: in_groups}, Person(), 46.0)


def test_grids_are_compared_by_the_labels_they_give_a_second_and_by_all_labels():
    one = Walk([0.0, 23.0, 46.0], [0, 10, 70], [0, 0, 2], [0.0, 0.5, 0.7], 55, 11.0, 60, 6)
    figures = compared(one)
    assert figures.in_grids.mean == pytest.approx(55 / 11 * 2.3)
    assert figures.in_all.mean == pytest.approx(70 / 46 * 2.3)
    assert figures.wrong.mean == pytest.approx(2 / 70)
    assert figures.odd.mean == pytest.approx(0.1)
    assert figures.difference(46.0).mean == pytest.approx(0.1)
    assert figures.difference(45.9).mean == pytest.approx(0.0)


def test_differences_are_paired():
    better = Walk([0.0, 46.0], [0, 70], [0, 0], [0.0, 0.7], 55, 11.0, 60, 6)
    interval = compared(better, better).difference(46.0).interval
    assert interval == pytest.approx((0.1, 0.1))
    assert "+10.0 (+10.0 to +10.0)" in as_walks_table(compared(better, better))
