"""How an image becomes the pixels a network looks at."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights

from model.networks.preprocessing import CENTRE_CROP, IMAGENET_MEAN, IMAGENET_STD, WHOLE_IMAGE


def noise(width, height):
    """An image in which no two pixels are alike, so that any other cut or filter shows."""
    values = np.random.default_rng(width).integers(256, size=(height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def marked(width, height):
    """Black, with a white border a tenth wide at each end of the longer side."""
    values = np.zeros((height, width, 3), np.uint8)
    if width > height:
        values[:, : width // 10], values[:, -(width // 10) :] = 255, 255
    else:
        values[: height // 10], values[-(height // 10) :] = 255, 255
    return Image.fromarray(values)


@pytest.mark.parametrize("size", [(224, 224), (256, 256), (640, 480), (480, 640), (333, 500), (3, 5), (1200, 900), (257, 2050)])
def test_the_centre_crop_is_that_of_torchvisions_own_preset(size):
    image = noise(*size)
    expected = ResNet50_Weights.IMAGENET1K_V1.transforms(resize_size=256)(image)
    pixels = torch.from_numpy(CENTRE_CROP.prepare(image).copy()).permute(2, 0, 1) / 255
    ours = (pixels - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((256, 256), (256, 256, 3)),
        ((1, 1), (256, 256, 3)),
        ((640, 480), (256, 352, 3)),
        ((480, 640), (352, 256, 3)),
        ((1920, 1080), (256, 448, 3)),
        ((1000, 500), (256, 512, 3)),
        ((3000, 500), (256, 512, 3)),
        ((1, 1000), (512, 256, 3)),
    ],
)
def test_a_whole_image_keeps_about_its_ratio_of_sides_up_to_two(size, shape):
    assert WHOLE_IMAGE.prepare(noise(*size)).shape == shape


@pytest.mark.parametrize("size", [(800, 500), (500, 800)])
def test_a_whole_image_shows_what_a_centre_crop_cuts_off(size):
    assert (CENTRE_CROP.prepare(marked(*size)) == 0).all()
    white = (WHOLE_IMAGE.prepare(marked(*size)) > 128).mean()
    assert white == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("size", [(2000, 500), (500, 2000)])
def test_a_long_image_loses_both_ends_alike(size):
    pixels = WHOLE_IMAGE.prepare(marked(*size)).astype(int)
    assert np.array_equal(pixels, pixels[::-1, ::-1])
    assert (pixels == 0).all()


def test_a_million_rows_are_cut_before_they_are_resized():
    tall = Image.new("RGB", (1, 1_000_000))
    assert (WHOLE_IMAGE.prepare(tall).shape, CENTRE_CROP.prepare(tall).shape) == ((512, 256, 3), (224, 224, 3))


@pytest.mark.parametrize("preprocessing", [WHOLE_IMAGE, CENTRE_CROP])
def test_pixels_are_bytes_in_rows(preprocessing):
    pixels = preprocessing.prepare(noise(300, 200))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
