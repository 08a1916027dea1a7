"""What each network makes of photos is what its library makes of them: keys, pixels, the layer that is left out, arithmetic.

The weights are random, which is all that can be had for most networks where there is only a package registry.
"""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn.functional import normalize
from torchvision import models

from model.networks import network
from model.networks.backbone import BackboneSpec, load_backbone
from model.networks.torch_backbone import Embedder
from tests.model.networks.test_preprocessing import photo, timm_transform

SMALL = ("alexnet", "mnasnet0_5", "squeezenet1_1")
LARGE = (
    *("convnext_tiny", "densenet121", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t", "mobilenet_v3_small"),
    *(
        "regnet_y_400mf",
        "resnet18",
        "resnext50_32x4d",
        "shufflenet_v2_x0_5",
        "swin_t",
        "swin_v2_t",
        "vgg11",
        "vgg16",
        "vit_b_32",
    ),
    *("timm:beit_base_patch16_224", "timm:convnext_atto", "timm:eva02_tiny_patch14_224", "timm:hgnet_tiny", "timm:levit_128s"),
    *("timm:mobilenetv4_conv_small", "timm:naflexvit_base_patch16_gap", "timm:swin_tiny_patch4_window7_224"),
    *("timm:tf_efficientnet_lite0", "timm:vit_base_patch16_clip_224.openai", "timm:vit_base_patch16_siglip_224"),
    "timm:vit_small_patch14_dinov2.lvd142m",
)


@pytest.fixture(scope="module")
def photos():
    return [photo(size) for size in ((320, 240), (180, 290), (64, 64))]


def of_library(name, photos):
    """A state dict of random weights, and the embeddings that the library makes with them, (N, D)."""
    torch.manual_seed(0)
    if name.startswith("timm:"):
        module, transform = timm.create_model(name[5:], num_classes=0), timm_transform(name[5:])
    else:
        options = {"transform_input": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
        module = models.get_model(name, **options)
        transform = models.get_model_weights(name)[network(name).weights.upper()].transforms()
    for key, value in module.named_parameters():
        if key.endswith("gamma"):  # of layers that are all but switched off at first, which would make all photos alike
            nn.init.ones_(value)
    fed = []
    if not name.startswith("timm:"):
        last = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
        last.register_forward_pre_hook(lambda _, given: fed.append(given[0]))
    with torch.inference_mode():
        result = module.eval()(torch.stack([transform(image) for image in photos]))
        embeddings = fed[-1] if fed else result
        if embeddings.ndim == 4:  # SqueezeNet's last layer is a convolution, whose classes are averaged
            embeddings = embeddings.relu().mean((2, 3))
    return module.state_dict(), normalize(embeddings, dim=1).numpy()


def saved(state, folder, name):
    torch.save(state, folder / "weights.pth")
    return BackboneSpec.of(name, folder / "weights.pth", "float32")


def pixels(name, photos):
    return np.stack([network(name).preprocessing().prepare(image) for image in photos])


def check(ours, theirs):
    """Far nearer to each other than one photo is to the next, which on random weights are near as well."""
    apart = np.linalg.norm(theirs - theirs.mean(0), axis=1).mean()
    assert np.linalg.norm(ours - theirs, axis=1).max() < 1e-3 * apart


@pytest.mark.parametrize("name", [*SMALL, "timm:test_vit", "timm:test_efficientnet", "timm:test_resnet"])
def test_embeddings_are_what_the_librarys_last_layer_is_fed(name, photos, tmp_path):
    state, theirs = of_library(name, photos)
    with torch.inference_mode():
        ours = Embedder(saved(state, tmp_path, name)).eval()(torch.from_numpy(pixels(name, photos)))
    assert ours.shape == (len(photos), network(name).width)
    check(ours.numpy(), theirs)


@pytest.mark.parametrize("name", ["squeezenet1_1", "timm:test_vit"])
def test_the_processors_arithmetic_agrees_with_the_library(name, photos, tmp_path):
    state, theirs = of_library(name, photos)
    check(load_backbone(saved(state, tmp_path, name)).embed(pixels(name, photos)), theirs)


@pytest.mark.soak
@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_the_processors_arithmetic_agrees_with_the_library_for_every_family(name, photos, tmp_path):
    state, theirs = of_library(name, photos)
    check(load_backbone(saved(state, tmp_path, name)).embed(pixels(name, photos)), theirs)
