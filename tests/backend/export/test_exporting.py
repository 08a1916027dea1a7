"""What lies in the folder of an export, and what becomes of one that cannot be made whole."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file
from torchvision import models

from backend.__main__ import main
from backend.export.exporting import FOLDER, NONE, export
from backend.export.folder import ExportError
from backend.export.labelled import Answers, write_labels
from backend.index.index import LABELLED as LABELLED_STATE
from backend.index.index import Row
from backend.settings import get_settings
from model.networks.weights_file import WeightsError
from model.version_store import VersionError
from tests.backend.export.conftest import CLASSES, IMAGES, LABELLED, house, learn
from tests.backend.jobs.made_up import photo
from tests.label_studio_in_memory import TOKEN


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_nothing_is_left_out(home, taken):
    assert home.exported.left_out == []
    assert {path.name for path in taken.iterdir()} == {
        "README.md", "export.json", "model.json", "model.safetensors", "model.onnx", "predict.py", "labels", "labels.csv",
        "predictions.csv",
    }  # fmt: skip


def test_the_state_dict_fills_the_network_of_the_library(taken):
    network = models.resnet18(num_classes=len(CLASSES))
    assert (taken / "model.safetensors").stat().st_mode == (taken / "labels.csv").stat().st_mode  # all may read it, or none
    assert network.load_state_dict(load_file(taken / "model.safetensors"), strict=True).missing_keys == []
    assert network.fc.bias.argmin() == CLASSES.index("wasps")


def test_the_script_predicts_what_the_table_says(home, taken, tmp_path):
    row = table(taken / "predictions.csv")[0]
    (tmp_path / "photo.png").write_bytes(home.studio.files[row["image"]])
    command = [sys.executable, taken / "predict.py", "photo.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"'([^']+)': ([\d.]+)", done.stdout))
    assert list(said) == CLASSES
    assert [float(said[name]) for name in CLASSES] == pytest.approx([float(row[f"p({name})"]) for name in CLASSES], abs=0.02)


def test_onnx_predicts_what_the_table_says(taken):
    rows = table(taken / "predictions.csv")
    session = onnxruntime.InferenceSession(taken / "model.onnx", providers=["CPUExecutionProvider"])
    for row in rows[:3]:
        number = int(row["image"].removeprefix("/data/upload/").removesuffix(".png"))
        colour = Image.open(io.BytesIO(photo(number))).getpixel((0, 0))
        pixels = np.full((1, 224, 224, 3), colour, np.uint8)
        (found,) = session.run(None, {"pixels": pixels})[0]
        assert found == pytest.approx([float(row[f"p({name})"]) for name in CLASSES], abs=0.02)


def test_every_image_that_nobody_has_labelled_has_probabilities_new_ones_too(taken):
    rows = table(taken / "predictions.csv")
    assert len(rows) == IMAGES - LABELLED + 1
    sums = [sum(float(row[f"p({name})"]) for name in CLASSES) for row in rows]
    assert sums == pytest.approx([1.0] * len(rows), abs=1e-5)
    assert all(float(row["p(wasps)"]) == pytest.approx(1 / (LABELLED + 3), abs=1e-5) for row in rows)


def test_the_labels_say_where_they_come_from(home, taken):
    rows = {int(row["task"]): row for row in table(taken / "labels.csv")}
    sources = [rows[task]["source"] for task in home.tasks[:LABELLED]]
    assert sources == ["2 of 2 annotations", "ground truth"] + ["1 of 1 annotations"] * 4
    assert {row["random_slot"] for row in rows.values()} <= {"yes", "no"}


def test_labels_whose_answers_were_weighed_say_how_sure_they_are(tmp_path):
    answers = Answers({7: "2 of 3 annotations"}, {7: 0.91254})
    rows = [Row(task, "/a.jpg", task, LABELLED_STATE, "ants", None) for task in (7, 8)]
    write_labels(tmp_path, rows, answers, set(), None)
    assert [row["sureness"] for row in table(tmp_path / "labels.csv")] == ["0.913", ""]


def test_no_cell_is_a_formula(taken):
    cells = [cell for name in ("labels.csv", "predictions.csv") for row in table(taken / name) for cell in row.values()]
    assert "'=ants" in cells
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []


def test_images_lie_by_class_in_folders_that_lead_nowhere_else(home, taken):
    files = [row["file"] for row in table(taken / "labels.csv")]
    assert sorted(path.name for path in (taken / "labels").iterdir()) == ["_ants", "_bees"]
    assert {file.split("/")[1] for file in files} == {"_ants", "_bees"}
    assert [(taken / file).read_bytes() for file in files] == [
        home.studio.files[f"/data/upload/{n}.png"] for n in range(LABELLED)
    ]


def test_no_secret_of_an_address_is_given_away(taken):
    assert "late.png" in (taken / "predictions.csv").read_text()
    assert [path.name for path in taken.iterdir() if path.is_file() and b"topsecret" in path.read_bytes()] == []


def test_the_card_begins_with_front_matter_and_tells_the_data(home, taken):
    card = (taken / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "torchvision"
    assert front["pipeline_tag"] == "image-classification"
    for text in (
        "# Insects \\| \\<b\\> of ours",
        "| =ants | 3 | 3 |",
        "Annotators: 2, with 5, 3 annotations",
        f"`{home.version}`",
        "Macro F1: ",
        "Strategy that chose the images: `random`",
        "have the same class",
        "Nobody has labelled an image as wasps yet",
    ):
        assert text in card


def test_the_difference_to_the_product_is_measured_and_small(taken):
    card = (taken / "README.md").read_text()
    said = re.search(r"on (\d+) images of the project a probability differs by at most ([\d.]+)", card)
    assert said
    assert int(said[1]) > 5
    assert float(said[2]) < 0.02


def test_it_takes_the_place_of_an_older_export(home, taken):
    before = json.loads((taken / "export.json").read_text())
    export(home.session, taken, labels=NONE)
    assert not (taken / "labels.csv").exists()
    assert json.loads((taken / "export.json").read_text())["version"] == before["version"]
    assert [path.name for path in taken.parent.glob(".taken*")] == []


def test_without_the_extra_all_but_onnx_is_there(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    exported = export(home.session, home.folder / "without", labels=NONE)
    assert exported.left_out == ["model.onnx: it needs the extra: pip install 'label-studio-active-learning[export]'"]
    assert exported.left_out[0] in (exported.folder / "README.md").read_text()
    assert (exported.folder / "predict.py").exists()
    assert not (exported.folder / "model.onnx").exists()


@pytest.fixture
def away(home, monkeypatch):
    """Label Studio answers nothing but errors; nobody waits for it."""
    monkeypatch.setattr("sys.modules", sys.modules | {"onnxruntime": None})
    home.studio.out_of_order = 500
    yield home
    home.studio.out_of_order = 0


def test_while_label_studio_is_away_what_is_known_is_written_and_said_so(away):
    exported = export(away.session, away.folder / "away")
    assert "Label Studio could not be asked" in exported.left_out[0]
    assert len(table(exported.folder / "labels.csv")) == LABELLED
    assert "was not measured" in (exported.folder / "README.md").read_text()


def test_images_of_a_label_studio_that_is_away_are_refused_and_nothing_is_left(away):
    with pytest.raises(ExportError, match="`--labels csv` goes without them"):
        export(away.session, away.folder / "refused", labels=FOLDER)
    assert list(away.folder.glob("*refused*")) == []


def test_an_unknown_version_is_refused_with_those_there_are(home):
    with pytest.raises(VersionError, match=home.version):
        export(home.session, home.folder / "unknown", "al-9-000000")


def test_a_backbone_that_is_gone_is_refused_and_nothing_is_left(home):
    weights = home.folder / "resnet18.pth"
    weights.rename(home.folder / "elsewhere.pth")
    try:
        with pytest.raises(WeightsError, match=r"resnet18\.pth"):
            export(home.session, home.folder / "gone")
    finally:
        (home.folder / "elsewhere.pth").rename(weights)
    assert list(home.folder.glob("*gone*")) == []


def test_another_project_under_the_same_id_costs_no_version(home):
    row = home.studio.projects[home.session.project]
    before, row["created_at"] = row["created_at"], "2031-01-01T00:00:00.000000Z"
    try:
        with pytest.raises(ExportError, match="is not the one that was learned here"):
            export(home.session, home.folder / "other")
    finally:
        row["created_at"] = before
    assert home.session.versions.names() == [home.version]


def test_before_the_first_version_it_says_what_to_do(tmp_path):
    with house(tmp_path, images=2) as home:
        with pytest.raises(ExportError, match=r"has no version yet: `al-backend connect --project \d+`"):
            export(home.session, tmp_path / "none")
        learn(home)
        with pytest.raises(ExportError, match="has not learned anything"):
            export(home.session, tmp_path / "none")


def test_the_command_says_what_it_wrote(home, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    settings = home.settings
    values = {"label_studio_url": home.studio.url, "label_studio_api_key": TOKEN, "backbone": "resnet18"}
    for name, value in (values | {"data_dir": settings.data_dir, "model_weights": settings.model_weights}).items():
        monkeypatch.setenv(name.upper(), str(value))
    get_settings.cache_clear()
    try:
        status = main(["export", "--project", str(home.session.project), "--labels", "none"])
        unknown = main(["export", "--project", "99"])
    finally:
        get_settings.cache_clear()
    said = capsys.readouterr()
    assert (status, unknown) == (0, 1)
    assert f"{home.version}, {LABELLED} labelled images and predictions for 7: {tmp_path}/export-" in said.out
    assert "left out: model.onnx" in said.out
    assert "Nothing is kept of project 99" in said.err
