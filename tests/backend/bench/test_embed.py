"""How fast networks embed: which are measured, and the rows of each."""

import pytest

from backend.__main__ import main
from backend.bench import embed
from backend.bench.cli import EPILOG, bench_command
from backend.bench.figures import Bench, Skipped
from backend.bench.run import chosen
from backend.settings import Settings, get_settings
from model.networks.arithmetic import fastest
from model.networks.backbone import BackboneSpec

LITE = "timm:tf_efficientnet_lite0"
OF_LITE = ["over_network_0.3mp", "photos_per_second", "over_network_1mp", "over_network_12mp", "over_plain"]


@pytest.fixture(autouse=True)
def _few_photos(monkeypatch):
    """What is measured counts for nothing here."""
    monkeypatch.setattr(embed, "COUNTS", {"0.3mp": 4, "1mp": 2, "12mp": 2})
    monkeypatch.setattr(embed, "PLAIN", 2)
    monkeypatch.setattr(embed, "TRIES", 1)


@pytest.fixture
def bench(lite, tmp_path):
    """EfficientNet-Lite0, and before it a network whose weights are not here."""
    specs = {"vgg16": tmp_path / "absent.pth", LITE: lite}
    backbones = {name: BackboneSpec.of(name, weights, fastest()) for name, weights in specs.items()}
    return lambda *only: Bench(Settings(), tmp_path, only, backbones=backbones)


@pytest.fixture
def asked(monkeypatch):
    """The backbones that the command would measure, called with its options."""
    given = []
    monkeypatch.setattr("backend.bench.cli.run", lambda bench, _: given.append(bench.backbones) or {})

    def ask(*options):
        get_settings.cache_clear()
        assert main(["bench", "--only", "embed", *options]) == 0
        return given[-1]

    yield ask
    get_settings.cache_clear()


def test_a_network_without_weights_is_skipped_with_the_reason_and_the_others_are_measured(bench):
    rows = []
    with pytest.raises(Skipped, match=r"^vgg16: MODEL_WEIGHTS=.*absent.pth is no file: set it to a state dict"):
        rows.extend(embed.measure(bench()))
    assert [row.name for row in rows] == [f"embed.{LITE}.{figure}" for figure in OF_LITE]
    assert {row.goal for row in rows} == {None}
    assert "resize256-crop224-bicubic-v1" in rows[1].against


def test_a_network_that_nobody_asks_for_needs_no_weights(bench):
    names = [row.name for row in embed.measure(bench(f"embed.{LITE}.photos_per_second"))]
    assert f"embed.{LITE}.photos_per_second" in names
    assert f"embed.{LITE}.over_plain" not in names


def test_rows_of_resnet50_have_goals_and_do_without_its_name(weights, tmp_path):
    spec = BackboneSpec.of("resnet50", weights, fastest())
    rows = list(embed.measure(Bench(Settings(), tmp_path, backbones={"resnet50": spec})))
    assert {row.name for row in rows} == set(embed.rows_of(["resnet50"]))
    assert {row.name for row in rows if row.goal is None} == {"embed.photos_per_second"}


def test_a_row_of_another_network_is_asked_for_by_its_name():
    assert chosen(["embed.vgg16.photos"], ["vgg16"]) == ["embed"]
    assert chosen(["embed.vgg16"], ["resnet50", "vgg16"]) == ["embed"]


def test_the_network_of_the_settings_is_measured_unless_others_are_asked_for(asked, monkeypatch):
    assert list(asked()) == ["resnet50"]
    monkeypatch.setenv("BACKBONE", "vgg16=own.pth")
    assert asked()["vgg16"].weights.name == "own.pth"
    assert list(asked("--backbone", "resnet50", "alexnet=a.pth")) == ["resnet50", "alexnet"]


def test_each_is_measured_as_this_machine_runs_it_and_data_dir_is_left_alone(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert {spec.arithmetic for spec in asked("--backbone", "resnet50", "vgg16").values()} == {fastest()}
    assert not (tmp_path / "data").exists()


def test_a_network_that_there_is_not_is_refused_with_those_that_are_near(capsys):
    assert main(["bench", "--backbone", "resnet5"]) == 1
    assert "There is no network 'resnet5': did you mean resnet50" in capsys.readouterr().err


def test_examples_of_the_help_are_understood():
    examples = [line.partition(">")[0].split()[2:] for line in EPILOG.splitlines() if line.startswith("  al-backend bench")]
    given = [bench_command.make_context("bench", example).params["backbone"] for example in examples]
    assert given[-1] == ("resnet50", "convnext_tiny", "timm:tf_efficientnet_lite0=model.pth")
