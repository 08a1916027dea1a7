"""ResNet50 with real weights on real photos."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torchvision import models

from model.embeddings.images import decode
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.networks.backbone import BackboneSpec, backbone_name, load_backbone, standard_of
from model.networks.torch_backbone import load_module
from model.networks.weights_file import WeightsError, check_weights
from tests.model.made_up import DIMENSIONS, resnet50


@pytest.fixture(scope="module")
def weights(shared):
    return shared / "weights" / "resnet50-imagenet.safetensors"


@pytest.fixture(scope="module")
def backbone(weights):
    return load_backbone(resnet50(weights))


@pytest.fixture(scope="module")
def photos(shared, backbone):
    """30 ants and 30 bees: images as the network takes them, embeddings, labels."""
    files = [path for name in ("ants", "bees") for path in sorted((shared / "data" / "hymenoptera" / name).glob("*.jpg"))[:30]]
    images = [backbone.prepare(decode(path.read_bytes(), 100_000_000)) for path in files]
    embeddings = np.vstack([backbone.embed(image[None]) for image in images])
    return SimpleNamespace(images=images, embeddings=embeddings, labels=np.repeat([0, 1], 30))


def test_an_embedding_has_2048_dimensions_in_float32(photos):
    assert photos.embeddings.shape == (60, DIMENSIONS)
    assert photos.embeddings.dtype == np.float32


def test_embeddings_are_l2_normalised(photos):
    assert np.linalg.norm(photos.embeddings, axis=1) == pytest.approx(1, abs=1e-5)


def test_an_image_has_the_same_embedding_alone_as_in_a_batch(photos, backbone):
    same = [number for number, image in enumerate(photos.images) if image.shape == photos.images[7].shape]
    together = backbone.embed(np.stack([photos.images[number] for number in same]))
    assert together[same.index(7)] == pytest.approx(photos.embeddings[7], abs=2e-3)


def test_ten_labels_a_class_tell_ants_from_bees(photos):
    order = np.random.default_rng(0).permutation(30)
    train, test = (np.concatenate([part, part + 30]) for part in (order[:10], order[10:]))
    head = fit_head(Learner(photos.embeddings[train], photos.labels[train], 2))
    assert (head.probabilities(photos.embeddings[test]).argmax(axis=1) == photos.labels[test]).mean() > 0.8


def test_weights_that_say_so_stride_in_the_first_convolution(backbone):
    module = load_module(backbone.spec)
    for layer in (module.layer2, module.layer3, module.layer4):
        assert (layer[0].conv1.stride, layer[0].conv2.stride) == ((2, 2), (1, 1))


def test_other_weights_stride_in_the_second_convolution(weights, tmp_path):
    with safe_open(weights, "pt") as file:
        save_file({key: file.get_tensor(key) for key in file.keys()}, tmp_path / "plain.safetensors")  # noqa: SIM118
    block = load_module(resnet50(tmp_path / "plain.safetensors")).layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))


def test_a_torch_checkpoint_is_read_as_well(weights, backbone, tmp_path):
    with safe_open(weights, "pt") as file:
        torch.save({key: file.get_tensor(key) for key in file.keys()}, tmp_path / "weights.pth")  # noqa: SIM118
    loaded, other = load_module(resnet50(tmp_path / "weights.pth")), load_module(backbone.spec)
    assert (loaded.layer4[2].conv3.weight == other.layer4[2].conv3.weight).all()


def test_the_name_is_known_without_loading_the_network(weights, backbone):
    assert backbone_name(resnet50(weights)) == backbone.name


def test_other_weights_have_another_name(weights, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(weights.read_bytes()[:1000])
    files = (weights, tmp_path / "other.safetensors", None)
    assert len({backbone_name(resnet50(file)) for file in files}) == 3


def test_the_name_does_not_depend_on_where_the_file_lies(tmp_path):
    for name in ("a.pth", "b.pth"):
        (tmp_path / name).write_bytes(b"same")
    assert backbone_name(resnet50(tmp_path / "a.pth")) == backbone_name(resnet50(tmp_path / "b.pth"))


def test_the_standard_of_resnet50_is_the_centre_crop():
    spec = resnet50(None, "float32")
    assert (spec.preprocessing, standard_of(spec).preprocessing) == ("whole256-v1", "resize256-crop224-v1")


def test_a_network_with_its_library_s_preprocessing_is_its_own_standard():
    spec = BackboneSpec.of("vgg16", None, "float32")
    assert standard_of(spec) == spec


def test_absent_weights_are_an_error_that_names_the_setting_and_the_file(tmp_path):
    with pytest.raises(WeightsError, match=r"MODEL_WEIGHTS=.*absent\.safetensors is no file"):
        load_backbone(resnet50(tmp_path / "absent.safetensors"))


def test_a_folder_is_no_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"MODEL_WEIGHTS=.* is no file"):
        load_backbone(resnet50(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_broken_weights_are_an_error_that_names_the_setting(tmp_path, content):
    (tmp_path / "broken.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"MODEL_WEIGHTS=.* cannot be read"):
        load_backbone(resnet50(tmp_path / "broken.safetensors"))


def test_weights_of_another_network_are_an_error_that_names_the_setting(tmp_path):
    save_file({"fc.weight": torch.zeros(10, 512)}, tmp_path / "resnet18.safetensors")
    with pytest.raises(WeightsError, match=r"MODEL_WEIGHTS=.* does not fit resnet50"):
        load_backbone(resnet50(tmp_path / "resnet18.safetensors"))


@pytest.fixture(scope="module")
def own():
    """A small file's worth of one's own ResNet50: five classes, halves instead of floats."""
    network = models.resnet50(weights=None)
    network.fc = torch.nn.Linear(DIMENSIONS, 5)
    return {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}


@pytest.mark.parametrize(
    "saved",
    [
        lambda own: own,
        lambda own: {key: value for key, value in own.items() if not key.startswith("fc.")},
        lambda own: {key: value for key, value in own.items() if not key.endswith("num_batches_tracked")},
        lambda own: {f"module.{key}": value for key, value in own.items()},
        lambda own: {f"backbone.{key}": value for key, value in own.items()} | {"head.weight": torch.zeros(2)},
        lambda own: {"epoch": 3, "state_dict": {f"model.{key}": value for key, value in own.items()}},
        lambda own: {"model": own, "optimizer": {"state": {}}},
    ],
    ids=["five classes", "no classifier", "no counters", "of DataParallel", "a part of another", "of Lightning", "of a script"],
)
def test_ones_own_resnet50_may_be_saved_in_any_usual_way(own, saved, tmp_path):
    torch.save(saved(own), tmp_path / "own.pth")
    check_weights(tmp_path / "own.pth")
    loaded = load_module(resnet50(tmp_path / "own.pth"))
    assert (loaded.layer4[2].conv3.weight == own["layer4.2.conv3.weight"].float()).all()
