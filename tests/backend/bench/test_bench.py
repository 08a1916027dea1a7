"""The command `bench`: what is chosen, what a fault costs, and what is shown."""

import importlib
import json

import pytest

from backend.__main__ import main
from backend.bench.figures import Bench, BenchError
from backend.bench.run import MEASURES, chosen, rows_of, run
from backend.bench.run import ROOM as ROOM_OF_ALL
from backend.settings import Settings

ROOM = "tests.backend.bench.made_up"
ALL = ("broken", "killed", "lacking", "renamed", "sound")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each made-up measure came to, and what they left behind."""
    folder = tmp_path_factory.mktemp("bench")
    found = run(Bench(Settings(), folder), ALL, ROOM)
    return found, list(folder.iterdir())


@pytest.fixture
def made_up(monkeypatch):
    """The command with the measures `names` instead of its own."""

    def use(*names):
        monkeypatch.setattr("backend.bench.cli.chosen", lambda only, networks: chosen(only, networks, ROOM, names))
        monkeypatch.setattr("backend.bench.cli.run", lambda bench, names: run(bench, names, ROOM))

    return use


@pytest.mark.parametrize(
    ("backbone", "weights"),
    [("resnet50", "mine.pth"), ("resnet50=own.pth", "own.pth"), ("vgg16", None), ("vgg16=own.pth", None)],
)
def test_the_file_of_weights_is_resnet50s_own(backbone, weights, tmp_path):
    settings = Settings(backbone=backbone, model_weights=tmp_path / "mine.pth", _env_file=None)
    found = Bench(settings, tmp_path).weights
    assert (found and found.name) == weights


def test_a_measure_gives_its_rows(outcomes):
    assert [(row.name, row.met) for row in outcomes[0]["sound"].rows] == [
        ("sound.fast", True),
        ("sound.slow", False),
        ("sound.ratio", None),
    ]


def test_a_fault_costs_the_rows_after_it_alone(outcomes):
    assert [row.name for row in outcomes[0]["broken"].rows] == ["broken.first"]
    assert outcomes[0]["broken"].failed == "RuntimeError: the wheel came off"


def test_a_measure_that_is_killed_costs_itself_alone(outcomes):
    assert "killed" in outcomes[0]["killed"].failed
    assert outcomes[0]["sound"].failed == ""


def test_what_cannot_be_measured_here_is_skipped_with_the_reason(outcomes):
    assert outcomes[0]["lacking"].skipped == "there is no moon: wait for the night"
    assert outcomes[0]["lacking"].failed == ""


def test_a_row_that_was_not_promised_is_a_fault(outcomes):
    assert "renamed.new" in outcomes[0]["renamed"].failed


def test_nothing_is_left_behind(outcomes):
    assert outcomes[1] == []


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ([], ["lacking", "sound"]),
        (["sound"], ["sound"]),
        (["sound.f"], ["sound"]),
        (["sound.fast", "lacking"], ["lacking", "sound"]),
    ],
)
def test_a_measure_is_chosen_by_its_name_or_the_beginning_of_a_row_s(only, names):
    assert chosen(only, (), ROOM, ("lacking", "sound")) == names


@pytest.mark.parametrize(
    ("only", "names"), [([], ["sound"]), (["heavy"], ["heavy"]), (["heavy.r", "sound"], ["heavy", "sound"])]
)
def test_a_measure_that_takes_much_runs_only_where_it_is_asked_for(only, names):
    assert chosen(only, (), ROOM, ("heavy", "sound")) == names


@pytest.mark.parametrize("only", ["soun", "sound.x", "fast", ""])
def test_an_unknown_name_is_told_those_there_are(only):
    with pytest.raises(BenchError, match=r"sound: fast, slow, ratio"):
        chosen([only], (), ROOM, ("lacking", "sound"))


def test_every_row_of_a_measure_begins_with_its_name():
    for name in MEASURES:
        rows = rows_of(importlib.import_module(f"{ROOM_OF_ALL}.{name}"), ["resnet50", "vgg16"])
        assert rows
        assert [row for row in rows if not row.startswith(f"{name}.")] == []


def test_json_is_all_that_stands_on_standard_output(made_up, capsys):
    made_up("sound", "lacking")
    assert main(["bench", "--json", "--only", "sound.slow", "--only", "lacking"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    row = {"name": "sound.slow", "value": 3.0, "unit": "s", "against": "a hare", "goal": 2.0, "met": False}
    assert found["rows"] == [row]
    assert {"processor", "cores", "flags", "memory_gib", "gpu", "versions"} <= set(found["machine"])
    assert found["machine"]["versions"]["torch"]
    assert "lacking: skipped: there is no moon" in said.err


def test_a_failed_measure_ends_with_1_and_shows_what_the_others_found(made_up, capsys):
    made_up("broken", "sound")
    assert main(["bench", "--only", "broken", "--only", "sound"]) == 1
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == [
        "broken.first",
        "sound.fast",
        "sound.slow",
        "sound.ratio",
    ]
    assert "broken failed, for the reason above" in said.err
    assert "the wheel came off" in said.err


def test_the_table_says_which_goals_are_met(made_up, capsys):
    made_up("sound")
    main(["bench"])
    assert [line.split()[4] for line in capsys.readouterr().out.splitlines()[1:3]] == ["yes", "no"]


@pytest.mark.parametrize("option", ["--folder", "--label-studio"])
def test_a_path_that_is_not_there_is_named(option, tmp_path, capsys):
    assert main(["bench", option, str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
