"""Image files made in memory, for tests of what reads them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

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


def is_red(image, at):
    red, _, blue = image.getpixel(at)
    return red > 200 > 50 > blue


def chunk(kind, content, crc=None):
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc or zlib.crc32(kind + content))
