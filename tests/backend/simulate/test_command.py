"""The command from options to files: what it writes, and what it says when it cannot."""

import csv
import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend.__main__ import main
from backend.simulate.cli import simulate_command
from backend.simulate.command import Simulation
from backend.simulate.options import Options
from model.networks.preprocessing import CENTRE_CROP
from tests.backend.simulate.conftest import CLASSES, EACH, embed_made_up, put_made_up
from tests.model.made_up import resnet50


def curves(run, name="margin"):
    return run.json["strategies"][name]["macro_f1"]


def test_the_json_holds_curves_and_figures_of_every_strategy(simulate):
    run = simulate("--strategies", "margin", "default")
    assert run.status == 0
    assert run.json["labels"] == [6, 10, 14, 18]
    assert list(run.json["strategies"]) == ["default", "margin", "random"]  # sorted, as every JSON of ours
    for figures in run.json["strategies"].values():
        assert np.array(figures["macro_f1"]).shape == np.array(figures["ece"]).shape == (2, 4)
        assert figures["aubc"] == pytest.approx(np.trapezoid(np.mean(figures["macro_f1"], axis=0), [6, 10, 14, 18]) / 12)
        assert len(figures["ci95"]) == 2
        ratio = figures["labels_saved_ratio"]
        assert ratio is None or ratio == pytest.approx(18 / figures["labels_needed"])


def test_random_is_always_run_and_named_once(simulate):
    assert list(simulate("--strategies", "random").json["strategies"]) == ["random"]


def test_strategies_may_be_given_with_commas(simulate):
    assert set(simulate("--strategies", "margin,entropy").json["strategies"]) == {"random", "margin", "entropy"}


def test_random_under_another_head_stands_beside_the_baseline(simulate):
    run = simulate("--strategies", "random", "--head", "default")
    assert set(run.json["strategies"]) == {"random", "random+head"}


def test_default_is_what_settings_give_a_new_project(simulate, monkeypatch):
    monkeypatch.setenv("STRATEGY", "entropy")
    monkeypatch.setenv("EXPLORE", "0.25")
    run = simulate("--strategies", "default")
    about = run.json["protocol"]["methods"]["default"]
    assert about == {"name": "default", "strategy": "entropy", "head": "default", "explore": 0.25, "cold": True}
    assert "entropy from a cold start, 25% random slots" in run.out


def test_the_table_has_the_specification_s_columns(simulate):
    run = simulate()
    lines = [line for line in run.out.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].split("|")][1:5] == ["sampling method", "sample size", "F1", "lift"]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["base model", "random", "margin", "ceiling"]
    assert len({len(line) for line in lines}) == 1
    assert "6 + 12" in lines[3]


def test_the_lift_is_that_above_the_base_model(simulate):
    run = simulate()
    base = np.mean([curve[0] for curve in curves(run, "random")])
    lift = np.mean([curve[-1] for curve in curves(run)]) - base
    assert run.json["strategies"]["margin"]["lift"] == pytest.approx(lift)
    assert f"{100 * lift:+.1f}" in next(line for line in run.out.splitlines() if line.startswith("| margin"))


def test_the_ceiling_is_the_head_that_learned_every_label_of_the_pool(simulate):
    run = simulate()
    all_labels = simulate("--rounds", "99").json
    assert run.json["ceiling"]["labels"] == all_labels["labels"][-1] == 51
    assert run.json["ceiling"]["macro_f1"] == [curve[-1] for curve in all_labels["strategies"]["random"]["macro_f1"]]
    assert run.json["ceiling"]["mean"] == pytest.approx(np.mean(run.json["ceiling"]["macro_f1"]))
    assert run.json["ceiling"]["ci95"][0] <= run.json["ceiling"]["mean"] <= run.json["ceiling"]["ci95"][1]
    row = next(line for line in run.out.splitlines() if line.startswith("| ceiling"))
    assert re.search(rf"all 51 +\| {run.json['ceiling']['mean']:.3f}", row)


def test_standard_is_random_sampling_on_the_library_s_own_embeddings(simulate):
    run = simulate("--standard", "--seeds", "3")
    assert set(run.json["strategies"]) == {"random", "standard", "margin"}
    assert run.json["strategies"]["standard"]["aubc"] < run.json["strategies"]["random"]["aubc"]
    margin = run.json["strategies"]["margin"]
    assert margin["aubc_difference_standard"]["mean"] > margin["aubc_difference"]["mean"]
    assert {"labels_saved_ratio_standard", "ci95_standard"} <= margin.keys()
    assert "| fewer labels than standard" in run.out
    assert "3 of 3 curves on standard embeddings are there from before" in simulate("--standard", "--seeds", "3").out


def test_a_network_that_is_its_own_standard_is_run_once(simulate, place):
    put_made_up(place.folder, place.cache, replace(resnet50(place.weights), network="vgg16", preprocessing=CENTRE_CROP.name))
    run = simulate("--standard", "--backbone", f"vgg16={place.weights}", weights=False)
    assert curves(run, "standard") == curves(run, "random")
    assert run.json["strategies"]["standard"]["labels_saved_ratio"] == run.json["strategies"]["random"]["labels_saved_ratio"]
    assert len(list(place.cache.glob("curves/*"))) == 1


def test_without_standard_a_network_that_is_its_own_is_not_its_own_baseline(simulate, place):
    put_made_up(place.folder, place.cache, replace(resnet50(place.weights), network="vgg16", preprocessing=CENTRE_CROP.name))
    run = simulate("--backbone", f"vgg16={place.weights}", weights=False)
    assert set(run.json["strategies"]) == {"random", "margin"}


def test_networks_are_compared_by_random_and_default_on_the_same_draws(simulate, place):
    other = place.weights.with_name("other.pth")
    other.write_bytes(b"other weights")
    embed_made_up(place.folder, place.cache, other, blur=0.6)
    names = f"resnet50={place.weights}", f"resnet50={other}"
    run = simulate("--backbone", *names, weights=False)
    assert run.status == 0
    assert list(run.json["backbones"]) == sorted(names)
    assert run.json["strategies"] == run.json["backbones"][names[0]]["strategies"]
    assert set(run.json["strategies"]) == {"random", "margin", "default"}
    worse = run.json["backbones"][names[1]]
    assert worse["against_first"]["random"]["aubc_difference"]["mean"] < 0
    assert worse["strategies"] != run.json["strategies"]
    assert f"| {names[1]} " in run.out
    assert re.search("Best for these images: |but not beyond chance: ", run.out)
    assert run.json["protocol"]["backbones"].keys() == set(names)


def test_the_network_is_the_setting_s_unless_told_otherwise(simulate, place, monkeypatch):
    monkeypatch.setenv("BACKBONE", f"resnet50={place.weights}")
    from_setting, told = simulate("--rounds", "1", weights=False), simulate("--rounds", "1")
    assert from_setting.json["strategies"] == told.json["strategies"]
    assert from_setting.json["protocol"]["backbones"] == told.json["protocol"]["backbones"]
    assert list(told.json["protocol"]["backbones"]) == ["resnet50"]


def test_the_csv_has_a_line_for_each_point(simulate, tmp_path):
    run = simulate("--csv", str(tmp_path / "points.csv"))
    lines = list(csv.DictReader(io.StringIO((tmp_path / "points.csv").read_text())))
    assert list(lines[0]) == ["backbone", "strategy", "seed", "labels", "macro_f1", "ece"]
    assert len([line for line in lines if line["strategy"] != "ceiling"]) == 2 * 2 * 4
    ceiling = [float(line["macro_f1"]) for line in lines if line["strategy"] == "ceiling"]
    assert ceiling == run.json["ceiling"]["macro_f1"]
    found = [float(line["macro_f1"]) for line in lines if line["strategy"] == "margin" and line["seed"] == "1"]
    assert found == curves(run)[1]


def test_the_picture_is_a_png(simulate, tmp_path):
    simulate("--plot", str(tmp_path / "curves.png"))
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height > 500


def test_files_go_below_the_cache_unless_told_otherwise(simulate, place):
    simulate()
    assert len(list(place.cache.glob("curves/*/curves.png"))) == len(list(place.cache.glob("curves/*/curves.csv"))) == 1


def test_one_shot_is_one_query_from_the_base_model(simulate):
    run = simulate("--one-shot", "--rounds", "1", "--batch", "20")
    assert run.json["labels"] == [6, 26]
    assert len({curve[0] for name in ("random", "margin") for curve in curves(run, name)[:1]}) == 1
    assert "AUBC" not in run.out


def test_one_shot_with_rounds_is_refused(simulate):
    assert simulate("--one-shot", "--rounds", "2").error == "error: --one-shot is a single query: leave out --rounds 2.\n"


def test_a_cold_start_takes_other_labels(simulate):
    assert curves(simulate("--cold"), "random") != curves(simulate(), "random")


def test_file_names_split(simulate, place):
    (place.folder / "meat" / "other.jpg").write_bytes(b"neither")
    run = simulate("--split", "train_/test_", "--start", "5", "--batch", "20")
    assert run.status == 0
    assert run.json["labels"][-1] == len(CLASSES) * (EACH // 2 + 1)
    assert "1 images have neither of the prefixes train_ and test_" in run.out


def test_a_test_of_which_nothing_can_be_read_is_no_test(simulate, weights, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (32, 32), (30 * number, 90, 10 if name == "a" else 200)).save(
                tmp_path / "few" / name / f"train_{number}.png"
            )
        (tmp_path / "few" / name / "test_0.png").write_bytes(b"no image")
    found = simulate("--split", "train_/test_", "--weights", str(weights), folder=tmp_path / "few")
    assert found.status == 1
    assert "no image whose name starts with 'test_' can be read" in found.error


def test_a_pool_that_runs_out_is_said_since_all_methods_meet_there(simulate):
    assert "images of the pool are labelled at the end" in simulate("--rounds", "99").out
    assert "images of the pool are labelled at the end" not in simulate().out


def test_imbalance_leaves_fewer_to_label(simulate):
    assert simulate("--batch", "40").json["labels"][-1] == 51
    assert simulate("--batch", "40", "--imbalance", "meat=0.25").json["labels"][-1] == 51 - 17 + 4


def test_copies_are_labelled_and_never_tested_on(simulate, place):
    embed_made_up(place.folder, place.cache, place.weights, copies=2)
    run = simulate("--copies", "2", "--batch", "60")
    assert run.json["labels"][-1] == 3 * 51


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--strategies", "best"],
            "--strategies: strategy 'best' is unknown. There are: random, least_confidence, margin, entropy",
        ),
        (["--imbalance", "fish=0.5"], "--imbalance fish: there is no such class; there are bread, meat, vegetables."),
        (["--split", "a_/b_"], "--split a_/b_: no image in .* has a name that starts with 'a_'"),
        (["--start", "60"], "Only 51 images can be labelled, the others are for the test: too few to start with 60"),
        (["--one-shot", "--rounds", "1", "--batch", "50"], "too few for 6 and a query of 50"),
        (["--finetune", "last", "--finetune-at", "7"], "--finetune-at 7: there are figures at 6, 10, 14, 18 labels only"),
        (["--finetune", "last", "--backbone", "vgg16"], "--finetune retrains ResNets, and vgg16 is none"),
        (["--finetune-at", "10"], "--finetune-at needs --finetune last or --finetune all"),
        (["--weights", "nowhere.pth"], "MODEL_WEIGHTS=nowhere.pth is no file"),
        (["--backbone", "resnet5"], "There is no network 'resnet5'"),
    ],
)
def test_what_cannot_be_is_named_with_the_next_step(simulate, options, message):
    run = simulate(*options)
    assert run.status == 1
    assert re.match(f"error: .*{message}", run.error)


@pytest.mark.parametrize(
    "option", [["--seeds", "0"], ["--test", "1"], ["--split", "a"], ["--imbalance", "Meat"], ["--start", "x"]]
)
def test_a_wrong_value_is_refused_with_its_option(simulate, option):
    run = simulate(*option)
    assert run.status == 2
    assert f"Invalid value for '{option[0]}': " in run.error


def test_a_folder_needs_two_classes(simulate, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "needs at least two sub-folders with images" in simulate(folder=tmp_path / "empty").error
    (tmp_path / "empty" / "only").mkdir()
    (tmp_path / "empty" / "only" / "a.jpg").touch()
    assert "Found: only." in simulate(folder=tmp_path / "empty").error


def test_it_needs_neither_label_studio_nor_redis(simulate, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://192.0.2.1")
    monkeypatch.setenv("REDIS_URL", "redis://192.0.2.1")
    assert simulate().status == 0


def test_networks_compute_in_the_arithmetic_of_data_dir(make_settings, tmp_path):
    settings = make_settings()
    settings.data_dir.mkdir()
    (settings.data_dir / "arithmetic.json").write_text('{"arithmetic": "float16"}')
    options = Options(folder=tmp_path, cache=tmp_path, strategies=("margin",), backbone=("resnet50", "vgg16"))
    assert {spec.arithmetic for spec in Simulation(options, settings, print).specs.values()} == {"float16"}


def test_the_help_teaches_by_examples(capsys):
    assert main(["simulate", "--help"]) == 0
    text = capsys.readouterr().out
    examples = re.findall(r"    al-backend (simulate .*)", text)
    assert len(examples) == 13
    for example in examples:
        given = simulate_command.make_context("simulate", example.split()[1:]).params
        assert given["folder"].name == "photos"


def test_too_few_images_are_refused_before_embedding_takes_its_minutes(simulate, place):
    shutil.rmtree(place.cache)  # so that embedding would begin, and fail at the made-up weights
    assert "Only 51 images can be labelled" in simulate("--start", "60").error
