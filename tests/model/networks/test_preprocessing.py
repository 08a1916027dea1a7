"""Each network sees what its library would show it, pixel for pixel."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torchvision.models import get_model_weights

from model.networks import network, of_torchvision

TORCHVISION = (
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_b1", "efficientnet_v2_s", "inception_v3"),
    *("maxvit_t", "mobilenet_v3_large", "regnet_y_400mf", "resnet18", "swin_t", "vgg16", "vit_l_16", "vit_h_14"),
)
TIMM = (
    *("tf_efficientnet_lite0", "efficientnet_lite0", "vit_small_patch14_dinov2.lvd142m", "vit_base_patch16_siglip_224"),
    *("vit_base_patch16_clip_224.openai", "vit_so400m_patch14_siglip_384", "convnext_tiny", "resnet50.a1_in1k", "inception_v4"),
    *("vit_base_patch16_sapiens2", "beit_base_patch16_224"),
)
SIZES = {"landscape": (500, 333), "portrait": (301, 477), "square": (256, 256), "tiny": (3, 2), "huge": (2431, 3187)}


def photo(size):
    """An image of (width, height) pixels with a gradient, edges and noise."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 80, (height, width, 3))
    gradient = np.linspace(0, 120, width)[None, :, None] + np.linspace(0, 50, height)[:, None, None]
    return Image.fromarray((noise + gradient + 5 * (np.arange(width) % 7 == 0)[None, :, None]).astype(np.uint8))


def normalised(preprocessing, image):
    """What the network computes from our pixels, as its library's preprocessing gives it."""
    pixels = torch.from_numpy(preprocessing.prepare(image).copy()).permute(2, 0, 1) / 255
    return (pixels - torch.tensor(preprocessing.mean).view(3, 1, 1)) / torch.tensor(preprocessing.std).view(3, 1, 1)


@pytest.fixture(scope="module")
def photos():
    return {kind: photo(size) for kind, size in SIZES.items()}


def check(name, library, photos, kinds=("landscape", "portrait", "square", "tiny")):
    for kind in kinds:
        ours, theirs = normalised(network(name).preprocessing(), photos[kind]), library(photos[kind])
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6, msg=lambda why, kind=kind: f"{kind}: {why}")


@pytest.mark.parametrize("name", TORCHVISION)
def test_pixels_are_those_of_torchvision(name, photos):
    check(name, of_torchvision_weights(name).transforms(), photos)


@pytest.mark.parametrize("name", TIMM)
def test_pixels_are_those_of_timm(name, photos):
    check(f"timm:{name}", timm_transform(name), photos)


def test_pixels_of_a_huge_photo_are_those_of_the_libraries(photos):
    check("convnext_tiny", of_torchvision_weights("convnext_tiny").transforms(), photos, ["huge"])
    check("timm:vit_base_patch16_siglip_224", timm_transform("vit_base_patch16_siglip_224"), photos, ["huge"])


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in of_torchvision.names() if name != "resnet50"])
def test_pixels_are_those_of_torchvision_for_every_network(name, photos):
    check(name, of_torchvision_weights(name).transforms(), photos, ["landscape", "portrait"])


@pytest.mark.soak
def test_pixels_are_those_of_timm_for_every_network_that_needs_no_border(photos):
    from model.networks import of_timm

    seen = set()
    for name in timm.list_models():
        config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
        if (kind := str(sorted(config.items()))) in seen or config["crop_mode"] == "border" or config["crop_pct"] > 1:
            continue
        seen.add(kind)
        ours = normalised(of_timm.preprocessing(name, config), photos["portrait"])
        torch.testing.assert_close(ours, timm.data.create_transform(**config)(photos["portrait"]), atol=1e-6, rtol=1e-6)
    assert len(seen) > 50


def test_a_thin_image_is_cut_before_it_is_scaled_to_gigabytes():
    assert network("convnext_tiny").preprocessing().prepare(Image.new("RGB", (2, 20_000))).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("name", "preprocessing"),
    [
        ("vgg16", "resize256-crop224-v1"),
        ("swin_t", "resize232-crop224-bicubic-v1"),
        ("timm:vit_base_patch16_siglip_224", "resize248-crop224-bicubic-v1"),
        ("timm:vit_base_patch16_sapiens2", "squash768x1024-crop768x1024-v1"),
    ],
)
def test_the_name_says_what_is_done_to_pixels(name, preprocessing):
    assert network(name).preprocessing().name == preprocessing


@pytest.mark.soak
def test_equal_names_are_equal_pixels():
    done = {}
    for name in of_torchvision.names():
        if name != "resnet50":
            each = network(name).preprocessing()
            what = (each.resize, each.crop, each.interpolation)
            assert done.setdefault(each.name, what) == what


def of_torchvision_weights(name):
    return get_model_weights(name)[network(name).weights.upper()]


def timm_transform(name):
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    return timm.data.create_transform(**config, is_training=False)
