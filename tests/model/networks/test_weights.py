"""Weights of other networks than ResNet50: from files saved in any usual way, and what is said of those that do not fit."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch.nn.functional import normalize
from torchvision import models

from model.embeddings.images import decode
from model.networks import network
from model.networks.backbone import BackboneSpec
from model.networks.state_dict import read_state
from model.networks.torch_backbone import load_module
from model.networks.weights_file import WeightsError

LITE = "timm:tf_efficientnet_lite0"
ANT, BEE = 310, 309  # of ImageNet's classes


@pytest.fixture(scope="module")
def squeezenet():
    """A small file's worth of one's own SqueezeNet: five classes, halves instead of floats."""
    network = models.squeezenet1_1(num_classes=5)
    return {key: value.half() for key, value in network.state_dict().items()}


def loaded(name, path):
    return load_module(BackboneSpec.of(name, path, "float32"))


def refused(name, path):
    with pytest.raises(WeightsError) as caught:
        loaded(name, path)
    return str(caught.value)


@pytest.mark.parametrize(
    "saved",
    [
        lambda own: own,
        lambda own: {key: value for key, value in own.items() if not key.startswith("classifier.")},
        lambda own: {f"module.{key}": value for key, value in own.items()},
        lambda own: {f"backbone.{key}": value for key, value in own.items()} | {"head.weight": torch.zeros(2)},
        lambda own: {"epoch": 3, "state_dict": {f"model.{key}": value for key, value in own.items()}},
        lambda own: {"model": own, "optimizer": {"state": {}}},
    ],
    ids=["five classes", "no classifier", "of DataParallel", "a part of another", "of Lightning", "of a script"],
)
def test_ones_own_network_may_be_saved_in_any_usual_way(squeezenet, saved, tmp_path):
    torch.save(saved(squeezenet), tmp_path / "own.pth")
    weight = loaded("squeezenet1_1", tmp_path / "own.pth").features[0].weight
    assert (weight == squeezenet["features.0.weight"].float()).all()


@pytest.mark.parametrize("prefix", ["", "module.", "visual.trunk."])
def test_a_file_of_timms_may_be_safetensors_with_a_common_beginning(prefix, tmp_path):
    state = timm.create_model("test_vit", num_classes=7).state_dict()
    save_file({prefix + key: value for key, value in state.items()}, tmp_path / "own.safetensors")
    assert (loaded("timm:test_vit", tmp_path / "own.safetensors").cls_token == state["cls_token"]).all()


def test_a_densenets_file_may_have_the_names_of_torchvisions_first_days(tmp_path):
    state = models.densenet121().state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d\.)", r"\1.\2", key): value for key, value in state.items()}
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old.pth")
    assert (loaded("densenet121", tmp_path / "old.pth").features.conv0.weight == state["features.conv0.weight"]).all()


def test_the_classifiers_that_helped_in_training_are_left_out(tmp_path):
    state = models.googlenet(init_weights=False).state_dict()
    assert any(key.startswith("aux1.") for key in state)
    torch.save(state, tmp_path / "w.pth")
    assert not any(key.startswith("aux") for key in loaded("googlenet", tmp_path / "w.pth").state_dict())


def test_weights_that_lack_something_say_what(squeezenet, tmp_path):
    torch.save({key: value for key, value in squeezenet.items() if "features.3" not in key}, tmp_path / "w.pth")
    assert refused("squeezenet1_1", tmp_path / "w.pth") == (
        f"MODEL_WEIGHTS={tmp_path / 'w.pth'} does not fit squeezenet1_1: "
        "it lacks 6 of 50 arrays, such as features.3.squeeze.weight."
    )


def test_weights_of_a_deeper_network_say_what_is_too_much(tmp_path):
    torch.save(models.resnet34().state_dict(), tmp_path / "w.pth")
    assert refused("resnet18", tmp_path / "w.pth").endswith("arrays too many, such as layer1.2.conv1.weight.")


def test_weights_of_a_wider_network_say_which_shape_differs(tmp_path):
    torch.save(models.mnasnet1_0().state_dict(), tmp_path / "w.pth")
    assert "shape [32, 3, 3, 3], that of mnasnet0_5 [16, 3, 3, 3]" in refused("mnasnet0_5", tmp_path / "w.pth")


def test_weights_of_resnet50_are_none_of_another_network(weights):
    assert "does not fit vgg16: it lacks 30 of 30 arrays" in refused("vgg16", weights)


def test_names_of_tensorflows_become_timms_one_to_one(lite):
    state, module = read_state(lite)[0], timm.create_model("tf_efficientnet_lite0")
    renamed = network(LITE).renamed(state, module)
    assert renamed.keys() == module.state_dict().keys()
    assert len(renamed) == len(state)
    module.load_state_dict(renamed)  # and shape by shape


def test_a_network_without_tensorflows_borders_refuses_tensorflows_weights(lite):
    assert refused("timm:efficientnet_lite0", lite).endswith(
        "it holds weights that were TensorFlow's: take timm:tf_efficientnet_lite0"
    )


def test_weights_that_cannot_be_downloaded_say_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    said = refused("alexnet", None)
    assert said.startswith("The weights of alexnet cannot be downloaded (")
    assert said.endswith("set MODEL_WEIGHTS to a file with its state dict, or name one in BACKBONE=alexnet=FILE.")


def test_a_network_that_timm_has_no_weights_for_says_so():
    said = refused("timm:nest_tiny", None)
    assert said.startswith("The weights of timm:nest_tiny cannot be downloaded (timm has none): set MODEL_WEIGHTS")


@pytest.fixture(scope="module")
def insects(lite, shared):
    """40 ants and 40 bees: ImageNet's class of each, and what EfficientNet-Lite0's classifier is fed, float32 (80, 1280)."""
    files = [path for name in ("ants", "bees") for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))[:40]]
    preprocessing = network(LITE).preprocessing()
    pixels = np.stack([preprocessing.prepare(decode(path.read_bytes(), 100_000_000)) for path in files])
    with torch.inference_mode():
        features = loaded(LITE, lite)((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
    return SimpleNamespace(labels=np.repeat([ANT, BEE], 40), features=features)


def test_efficientnet_lite_finds_ants_and_bees_among_a_thousand_classes(insects, lite):
    state, _ = read_state(lite)
    guesses = (insects.features @ state["_fc.weight"].T + state["_fc.bias"]).numpy()
    assert (guesses.argmax(axis=1) == insects.labels).mean() > 0.7
    assert ((guesses[:, ANT] > guesses[:, BEE]) == (insects.labels == ANT)).mean() > 0.92


def test_embeddings_of_efficientnet_lite_tell_ants_from_bees(insects):
    embeddings = normalize(insects.features, dim=1).numpy()
    assert cross_val_score(LogisticRegression(C=10), embeddings, insects.labels).mean() > 0.9
