"""ResNet50 retrained on the picks of a simulation, on a few photos and for two epochs."""

import json

import pytest

from backend.__main__ import main
from model import finetune as module
from model.finetune import RECIPES, Recipe


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(module, "VIEWS", 2)
    monkeypatch.setitem(module.RECIPES, "last", Recipe(**(vars(RECIPES["last"]) | {"epochs": 2})))


@pytest.fixture
def bees_and_ants(shared, tmp_path):
    """Eight photos of each."""
    for name in ("ants", "bees"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))[:8]:
            (tmp_path / "photos" / name / path.name).write_bytes(path.read_bytes())
    return tmp_path / "photos"


@pytest.mark.soak
def test_picks_are_judged_with_resnet50_retrained_on_them(bees_and_ants, weights, tmp_path, capsys):
    out = tmp_path / "result.json"
    command = ["simulate", str(bees_and_ants), "--cache", str(tmp_path / "cache"), "--weights", str(weights)]
    command += ["--strategies", "margin", "--start", "6", "--batch", "2", "--rounds", "1", "--seeds", "1", "--jobs", "1"]
    command += ["--finetune", "last", "--finetune-at", "6", "8", "--json", str(out)]
    assert main(command) == 0
    said, found = capsys.readouterr().out, json.loads(out.read_text())["finetuned"]
    assert found["depth"] == "last"
    assert found["labels"] == [6, 8]
    f1 = found["macro_f1"]
    assert [[len(values) for values in f1[name]] for name in ("random", "margin")] == [[2], [2]]
    assert all(0.5 < value <= 1 for name in f1 for values in f1[name] for value in values)
    assert f1["random"][0][0] == f1["margin"][0][0]  # the same start labels
    assert "| F1, ResNet50 retrained |" in said
    made = sorted((tmp_path / "cache" / "finetuned").iterdir())
    assert len(made) == 3  # equal picks are learned once; no checkpoint is left
    assert main(command) == 0
    assert "fold" not in capsys.readouterr().out
    assert json.loads(out.read_text())["finetuned"] == found
