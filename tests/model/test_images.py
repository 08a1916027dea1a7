"""Image bytes of every kind: a tensor, or an error that says why not."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import ResNet50_Weights

from model.images import ImageError, decode, to_tensor

LIMIT = 1_000_000
RED, BLUE = (255, 0, 0), (0, 0, 255)
ORIENTATION = 0x0112


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width=320, height=240, mode="RGB"):
    """A smooth gradient."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.dstack([x, y, 255 - x]).astype(np.uint8)).convert(mode)


def halves():
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (64, 32), RED)
    image.paste(BLUE, (32, 0, 64, 32))
    return image


def header_only(width, height):
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def rotated(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return decode(encoded(halves(), "JPEG", exif=exif, quality=95), LIMIT)


def is_red(image, at):
    red, _, blue = image.getpixel(at)
    return red > 200 > 50 > blue


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_usual_formats_are_read(kind):
    assert to_tensor(encoded(photo(), kind), LIMIT).shape == (3, 224, 224)


@pytest.mark.parametrize("size", [(1, 1), (10, 300), (300, 10), (224, 224), (1000, 500)])
def test_every_size_becomes_the_size_of_the_network(size):
    assert to_tensor(encoded(photo(*size)), LIMIT).shape == (3, 224, 224)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("L", "PNG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("LA", "PNG"),
        ("RGBA", "PNG"),
        ("P", "PNG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
    ],
)
def test_every_colour_mode_becomes_rgb(mode, kind):
    content = encoded(photo(mode="RGBA").convert(mode) if mode != "CMYK" else photo().convert("CMYK"), kind)
    assert decode(content, LIMIT).mode == "RGB"
    assert to_tensor(content, LIMIT).shape == (3, 224, 224)


def test_a_palette_with_alpha_keeps_its_colours():
    image = decode(encoded(halves().convert("P", palette=Image.Palette.ADAPTIVE), transparency=b"\x80\xff"), LIMIT)
    assert [is_red(image, at) for at in ((5, 5), (60, 5))] == [True, False]


def test_sixteen_bit_greyscale_is_read():
    grey = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    assert to_tensor(encoded(grey), LIMIT).shape == (3, 224, 224)


def test_cmyk_keeps_its_colours():
    assert is_red(decode(encoded(halves().convert("CMYK"), "JPEG", quality=95), LIMIT), (5, 5))


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert is_red(decode(content, LIMIT), (5, 5))


def test_the_tensor_is_that_of_torchvisions_own_preset():
    expected = ResNet50_Weights.IMAGENET1K_V1.transforms(resize_size=256)(photo())
    torch.testing.assert_close(to_tensor(encoded(photo()), LIMIT), expected)


def test_a_large_jpeg_decoded_small_keeps_its_detail():
    stripes = 127 + 120 * np.sin(np.arange(2000) / 4)  # about four pixels wide once resized
    content = encoded(Image.fromarray(np.tile(stripes, (1500, 1)).astype(np.uint8)).convert("RGB"), "JPEG", quality=95)
    whole = to_tensor(encoded(Image.open(io.BytesIO(content))), 3_000_000)
    assert (to_tensor(content, 3_000_000) - whole).abs().mean() < 0.1


def test_an_image_upside_down_is_turned_as_its_exif_data_says():
    assert not is_red(rotated(3), (5, 5))


@pytest.mark.parametrize(("orientation", "red_end"), [(6, (16, 5)), (8, (16, 60))])
def test_an_image_on_its_side_is_turned_as_its_exif_data_says(orientation, red_end):
    assert is_red(rotated(orientation), red_end)


def test_an_image_on_its_side_changes_width_and_height():
    assert rotated(6).size == (32, 64)


@pytest.mark.parametrize("content", [b"", b"\x00", b"no image at all", b"<html><body>404</body></html>"])
def test_bytes_that_are_no_image_are_refused(content):
    with pytest.raises(ImageError, match="not a readable image"):
        decode(content, LIMIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_image_is_refused(kind, share):
    content = encoded(photo(), kind)
    with pytest.raises(ImageError, match="not a readable image"):
        decode(content[: int(len(content) * share)], LIMIT)


def test_an_image_over_the_pixel_limit_is_refused_by_its_header():
    with pytest.raises(ImageError, match=r"10000 x 9000 pixels are over MAX_IMAGE_PIXELS \(1000000\)"):
        decode(header_only(10_000, 9_000), LIMIT)


def test_an_image_far_over_any_limit_is_refused_by_its_header():
    with pytest.raises(ImageError):
        decode(header_only(2**31 - 1, 2**31 - 1), LIMIT)


def test_an_image_just_within_the_pixel_limit_is_read():
    assert decode(encoded(photo(40, 25)), 1000).size == (40, 25)


def test_an_image_just_over_the_pixel_limit_is_refused():
    with pytest.raises(ImageError, match="over MAX_IMAGE_PIXELS"):
        decode(encoded(photo(40, 25)), 999)
