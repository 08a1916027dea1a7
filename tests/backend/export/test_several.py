"""What an export makes of a project in which an image may be of several classes or of none."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from backend.export.exporting import CSV, FOLDER, export
from backend.export.folder import ExportError
from model.plain import predict
from tests.backend.export.conftest import house, learn
from tests.backend.jobs.made_up import photo

CONFIG = """<View><Image name="image" value="$image"/><Choices name="choice" toName="image" choice="multiple">
    <Choice value="red"/><Choice value="even"/><Choice value="gone"/></Choices></View>"""
SETS = [["red", "even"], [], ["red", "even"], [], ["red"], ["even"]]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with a version that has learned six sets of classes; nobody has ticked the last class."""
    with house(tmp_path_factory.mktemp("house")) as home:
        client = home.studio.client()
        client.patch_project(home.session.project, label_config=CONFIG)
        for task, names in zip(home.tasks, SETS, strict=False):
            value = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": names}}
            client.request("POST", f"/api/tasks/{task}/annotations/", json={"result": [value] if names else []})
        home.version = learn(home)
        yield home


@pytest.fixture(scope="module")
def taken(home):
    """The folder of an export."""
    export(home.session, home.folder / "taken", labels=CSV)
    return home.folder / "taken"


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_labels_are_sets_as_simulate_reads_them(taken):
    assert [row["label"] for row in table(taken / "labels.csv")] == [";".join(names) for names in SETS]


def test_predictions_are_sets_with_a_probability_for_each_class(taken):
    rows = table(taken / "predictions.csv")
    assert len(rows) == 12 - len(SETS)
    for row in rows:
        sure = [name for name in ("red", "even", "gone") if float(row[f"p({name})"]) >= 0.5]
        assert row["prediction"] == ";".join(sure)


def test_the_network_gives_the_probabilities_of_the_product(home, taken):
    about = json.loads((taken / "model.json").read_text())
    classifier = predict.Classifier(about, load_file(taken / "model.safetensors")).eval()
    version = home.session.versions.load(home.version)
    rows = [row for row in home.session.index.rows()][:4]
    embeddings, _ = home.session.store.get([row.key for row in rows])
    expected = version.head.probabilities(embeddings)
    pixels = [predict.read(io.BytesIO(photo(number)), about["preprocessing"]) for number in range(4)]
    with torch.inference_mode():
        found = np.concatenate([classifier(image[None]).numpy() for image in pixels])
    np.testing.assert_allclose(found, expected, atol=0.02)  # the product's embeddings are kept in float16
    assert found[:, 2] == pytest.approx(1 / 8, abs=1e-3)


def test_the_card_says_what_such_a_model_is(taken):
    card = (taken / "README.md").read_text()
    assert "An image may be of several of them, or of none." in card
    assert "one against the rest" in card
    assert "| red | 3 | 3 |" in card
    assert "same answer to gone" in card


def test_images_of_several_classes_have_no_folder(home):
    with pytest.raises(ExportError, match="has no folder"):
        export(home.session, home.folder / "folder", labels=FOLDER)
