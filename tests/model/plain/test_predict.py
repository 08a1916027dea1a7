"""A version as files of its own: predict.py and ONNX give the product's probabilities, for any network and photo."""

import ast
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from model.embeddings.images import decode
from model.finetune import RECIPES, Recipe, finetune
from model.heads.head import Head
from model.networks.backbone import BackboneSpec, load_backbone
from model.networks.preprocessing import CENTRE_CROP, WHOLE_IMAGE, ResizeAndCrop
from model.networks.weights_file import WeightsError
from model.photos import store_photo
from model.plain import onnx, predict
from model.plain.network import plain, values_of
from model.plain.onnx import OnnxUnavailable, write_onnx
from tests.model.made_up import resnet50

CLASSES = ["ants", "bees", "wasps"]
SAME = 1e-4  # of a probability, computed in float32 by OpenVINO, torch and onnxruntime
PHOTOS = 6


@pytest.fixture(scope="module")
def photos(shared):
    """Photos of several shapes."""
    found = [path for name in ("ants", "bees") for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))]
    return found[:: len(found) // PHOTOS][:PHOTOS]


@pytest.fixture(scope="module")
def tuned(shared, weights, tmp_path_factory):
    """ResNet50 whose last stage was retrained on a few photos."""
    folder = tmp_path_factory.mktemp("tuned")
    paths = [path for name in ("ants", "bees") for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))[:4]]
    stored = [folder / path.name for path in paths]
    for path, to in zip(paths, stored, strict=True):
        store_photo(path.read_bytes(), 10**8, to)
    labels, nobody = np.repeat([0, 1], 4), np.arange(8) % 4 == 0
    recipe = Recipe(**(vars(RECIPES["last"]) | {"epochs": 1, "batch": 4}))
    result = finetune(stored, labels, nobody, depth="last", spec=resnet50(weights), folder=folder, recipe=recipe)
    return BackboneSpec.of("resnet50", result.weights, "float32")


def head_of(width, unseen=True, seed=0):
    """A head as sharp as real ones are; the last class has no labels where `unseen`."""
    random = np.random.default_rng(seed)
    weights = 8 * random.normal(size=(3, width)).astype(np.float32)
    counts = np.array([9, 11, 0 if unseen else 5])
    return Head(weights, random.normal(size=3).astype(np.float32), 1.7, counts)


def of_the_product(spec, head, contents):
    """The probabilities of images in bytes as the product computes them."""
    backbone = load_backbone(spec)
    prepared = [backbone.prepare(decode(content, 10**8, backbone.least_side)) for content in contents]
    return np.concatenate([head.probabilities(backbone.embed(pixels[None])) for pixels in prepared])


def random_weights(name, tmp_path):
    """torchvision's network `name`, with random weights in a file of its own."""
    torch.manual_seed(0)
    torch.save(models.get_model(name).state_dict(), tmp_path / f"{name}.pth")
    return BackboneSpec.of(name, tmp_path / f"{name}.pth", "float32")


def assert_the_same(spec, photos, tmp_path, unseen=True):
    """predict.py and ONNX give the product's probabilities of `photos`."""
    width = load_backbone(spec).width
    head, contents = head_of(width, unseen), [path.read_bytes() for path in photos]
    made, expected = plain(spec, head, CLASSES), of_the_product(spec, head, contents)
    pixels = [predict.read(path, made.about["preprocessing"]) for path in photos]
    with torch.inference_mode():
        found = torch.cat([made.classifier(one[None]) for one in pixels]).numpy()
    assert np.abs(found - expected).max() < SAME
    assert found.max() < 1 - unseen / 30
    write_onnx(made, [one.numpy() for one in pixels], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    by_onnx = np.concatenate([session.run(None, {"pixels": one.numpy()[None]})[0] for one in pixels])
    assert np.abs(by_onnx - expected).max() < SAME


@pytest.mark.soak
def test_resnet50_as_it_ships_gives_the_same_outside(weights, photos, tmp_path):
    assert len({Image.open(path).size for path in photos}) > 2
    assert_the_same(resnet50(weights, "float32"), photos, tmp_path)


def test_a_retrained_resnet50_gives_the_same_outside(tuned, photos, tmp_path):
    assert_the_same(tuned, photos, tmp_path, unseen=False)


def test_a_resnet50_on_centre_crops_gives_the_same_outside(weights, photos, tmp_path):
    assert_the_same(resnet50(weights, "float32", CENTRE_CROP.name), photos[:2], tmp_path)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small"])
def test_another_network_of_torchvisions_gives_the_same_outside(name, photos, tmp_path):
    assert_the_same(random_weights(name, tmp_path), photos[:3], tmp_path)


def test_a_network_of_timms_gives_the_same_outside(photos, tmp_path):
    name = "timm:tf_efficientnet_lite0"
    torch.manual_seed(0)
    save_file(timm.create_model("tf_efficientnet_lite0").state_dict(), tmp_path / "lite.safetensors")
    assert_the_same(BackboneSpec.of(name, tmp_path / "lite.safetensors", "float32"), photos[:2], tmp_path)


def test_it_needs_nothing_of_this_package():
    tree = ast.parse(Path(predict.__file__).read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in nodes}
    allowed = {"torch", "torchvision", "PIL", "safetensors"}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == allowed


def test_it_is_short_enough_to_be_read():
    lines = Path(predict.__file__).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 64


def saved(image, kind, tmp_path, **options):
    image.save(tmp_path / f"odd.{kind}", **options)
    return tmp_path / f"odd.{kind}"


@pytest.mark.parametrize("preprocessing", [WHOLE_IMAGE, CENTRE_CROP, ResizeAndCrop("squash", resize=(40, 30), crop=(32, 24))])
@pytest.mark.parametrize("size", [(640, 480), (333, 900), (1400, 100), (60, 2000), (20, 30), (1500, 1500)], ids=str)
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_it_sees_the_product_s_pixels(preprocessing, size, kind, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1] // 4 + 1, size[0] // 4 + 1, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels).resize(size)
    exif = Image.Exif()
    exif[274] = 6  # lies on its side
    path = saved(photo, kind, tmp_path, exif=exif)
    expected = preprocessing.prepare(decode(path.read_bytes(), 10**8, preprocessing.least_side))
    assert np.array_equal(predict.read(path, values_of(preprocessing)).numpy(), expected)


def test_what_is_transparent_is_white_to_it_as_well(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 4), dtype=np.uint8)
    path = saved(Image.fromarray(pixels, "RGBA"), "png", tmp_path)
    expected = WHOLE_IMAGE.prepare(decode(path.read_bytes(), 10**8, WHOLE_IMAGE.least_side))
    assert np.array_equal(predict.read(path, values_of(WHOLE_IMAGE)).numpy(), expected)


def test_a_class_that_nobody_has_labelled_is_never_chosen(tmp_path):
    made = plain(random_weights("squeezenet1_1", tmp_path), head_of(512), CLASSES)
    assert made.about["unseen"] == [0, 0, 1 / 23]
    assert made.state["classifier.1.bias"].argmin() == 2


def test_without_the_extra_onnx_names_it(tmp_path, monkeypatch):
    made = plain(random_weights("squeezenet1_1", tmp_path), head_of(512), CLASSES)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OnnxUnavailable, match=r"label-studio-active-learning\[export\]"):
        write_onnx(made, [np.zeros((224, 224, 3), np.uint8)], tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_onnx_that_differs_from_torch_is_not_kept(tmp_path, monkeypatch):
    made = plain(random_weights("squeezenet1_1", tmp_path), head_of(512), CLASSES)
    monkeypatch.setattr(onnx, "CLOSE", 0.0)
    with pytest.raises(OnnxUnavailable, match=r"its probabilities would differ from torch's by"):
        write_onnx(made, [np.zeros((224, 224, 3), np.uint8)], tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_network_that_would_give_something_else_outside_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(predict.Classifier, "forward", lambda _, pixels: torch.full((len(pixels), 3), 1 / 3))
    with pytest.raises(WeightsError, match="squeezenet1_1 cannot be written as a network of its library's: its probabilities"):
        plain(random_weights("squeezenet1_1", tmp_path), head_of(512), CLASSES)
