"""Images of every format, colour mode and orientation, and the limit on their size."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from model.embeddings.images import ImageError, decode
from model.networks.preprocessing import WHOLE_IMAGE
from tests.model.image_bytes import BLUE, LIMIT, ORIENTATION, RED, chunk, encoded, halves, is_red, photo

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of broken tags


def header_only(width, height):
    """A PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def rotated(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return decode(encoded(halves(), "JPEG", exif=exif, quality=95), LIMIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_the_usual_formats_are_read(kind):
    assert decode(encoded(photo(), kind), LIMIT).size == photo().size


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


def test_a_palette_with_alpha_keeps_its_colours():
    image = decode(encoded(halves().convert("P", palette=Image.Palette.ADAPTIVE), transparency=b"\xf0\xff"), LIMIT)
    assert [is_red(image, at) for at in ((5, 5), (60, 5))] == [True, False]


def test_sixteen_bit_greyscale_is_read():
    grey = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    assert decode(encoded(grey), LIMIT).mode == "RGB"


def test_cmyk_keeps_its_colours():
    assert is_red(decode(encoded(halves().convert("CMYK"), "JPEG", quality=95), LIMIT), (5, 5))


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, BLUE)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert is_red(decode(content, LIMIT), (5, 5))


def test_a_large_jpeg_decoded_small_keeps_its_detail():
    stripes = 127 + 120 * np.sin(np.arange(2000) / 4)  # about four pixels wide once resized
    content = encoded(Image.fromarray(np.tile(stripes, (1500, 1)).astype(np.uint8)).convert("RGB"), "JPEG", quality=95)
    whole = WHOLE_IMAGE.prepare(decode(encoded(Image.open(io.BytesIO(content))), 3_000_000)).astype(float)
    small = decode(content, 3_000_000, WHOLE_IMAGE.least_side)
    assert min(small.size) in range(WHOLE_IMAGE.least_side, 1500)
    assert np.abs(WHOLE_IMAGE.prepare(small) - whole).mean() < 6  # of 255


def test_an_image_upside_down_is_turned_as_its_exif_data_says():
    assert not is_red(rotated(3), (5, 5))


@pytest.mark.parametrize(("orientation", "red_end"), [(6, (16, 5)), (8, (16, 60))])
def test_an_image_on_its_side_is_turned_as_its_exif_data_says(orientation, red_end):
    assert is_red(rotated(orientation), red_end)


def test_an_image_on_its_side_changes_width_and_height():
    assert rotated(6).size == (32, 64)


def test_the_orientation_of_a_png_is_honoured():
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    assert not is_red(decode(encoded(halves(), exif=exif), LIMIT), (5, 5))


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "AVIF"])
def test_the_orientation_of_other_formats_is_honoured(kind):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = decode(encoded(halves(), kind, exif=exif), LIMIT)
    assert (image.size, is_red(image, (16, 5))) == ((32, 64), True)


def cut_out(hidden, mode):
    """A red square in a field that is wholly transparent, whose colour nobody sees."""
    pixels = np.full((120, 120, 4), (*hidden, 0), np.uint8)
    pixels[40:80, 40:80] = (*RED, 255)
    return Image.fromarray(pixels, "RGBA").convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("RGBA", "AVIF")]
)
@pytest.mark.parametrize("hidden", [(0, 0, 0), (0, 255, 0)])
def test_what_is_transparent_is_white(mode, kind, hidden):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert min(decode(encoded(cut_out(hidden, mode), kind, **options), LIMIT).getpixel((5, 5))) > 250


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (0, 0, 0)), ("L", 0), ("P", 0)])
def test_a_colour_that_stands_for_transparency_is_white(mode, colour):
    image = Image.new(mode, (30, 30), 0)
    assert decode(encoded(image, transparency=colour), LIMIT).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(("depth", "row"), [(1, b"\0\0"), (2, b"\x55\x55"), (4, b"\x33" * 4)])
def test_a_shallow_grey_that_stands_for_transparency_is_white(depth, row):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8)) + chunk(b"IEND", b"")
    values = {1: 0, 2: 1, 4: 3}[depth], {1: 1, 2: 2, 4: 5}[depth]
    seen = [
        decode(b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", struct.pack(">H", value)) + pixels, LIMIT).getpixel((5, 5))[0]
        for value in values
    ]
    assert seen == [255, {1: 0, 2: 85, 4: 51}[depth]]


@pytest.mark.parametrize("value", ["x", b"abc", (1, 2), 99])
def test_an_orientation_of_a_tiff_that_is_none_is_passed_over(value):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x112] = value
    tags.tagtype[0x112] = {str: 2, bytes: 7}.get(type(value), 3)
    assert decode(encoded(halves(), kind="TIFF", tiffinfo=tags), LIMIT).size == halves().size


def test_a_deep_grey_that_stands_for_transparency_is_white():
    grey = Image.fromarray(np.full((30, 30), 4660, np.uint16))
    content = encoded(grey)
    transparent = content[:33] + chunk(b"tRNS", struct.pack(">H", 4660)) + content[33:]
    assert [decode(file, LIMIT).getpixel((5, 5))[0] for file in (content, transparent)] == [18, 255]


def test_what_is_transparent_in_an_animation_is_white():
    assert min(decode(encoded(cut_out((0, 0, 0), "RGBA"), "GIF"), LIMIT).getpixel((5, 5))) > 250


def test_half_transparent_red_is_pink():
    assert decode(encoded(Image.new("RGBA", (30, 30), (255, 0, 0, 128))), LIMIT).getpixel((5, 5)) == (255, 127, 127)


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
