"""Photos that are made up: as large on disk and as much work to decode as real ones, and with something to learn in them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("circle", "square", "triangle")
SIZE = (640, 480)
CORNERS = {"circle": 40, "square": 4, "triangle": 3}


def photo(number: int, size: tuple[int, int] = SIZE) -> bytes:
    """The photo of that number as JPEG: a cloudy, grainy picture with one shape, that of its class (`class_of`)."""
    random = np.random.default_rng(number)
    clouds = Image.fromarray(random.integers(40, 216, (8, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    radius = random.uniform(0.15, 0.3) * min(size)
    centre = [random.uniform(radius, side - radius) for side in size]
    turns = np.linspace(0, 2 * np.pi, CORNERS[class_of(number)], endpoint=False) + random.uniform(0, 6)
    outline = [(centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)) for turn in turns]
    ImageDraw.Draw(clouds).polygon(outline, fill=tuple(random.integers(0, 256, 3).tolist()))
    grain = random.integers(-12, 13, (size[1], size[0], 1), np.int16)
    pixels = np.clip(np.asarray(clouds, np.int16) + grain, 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=90)
    return content.getvalue()


def class_of(number: int) -> str:
    """What an annotator would say of that photo."""
    return CLASSES[number % len(CLASSES)]


def write_photos(folder: Path, count: int) -> dict[str, tuple[str, Path]]:
    """Write the first `count` photos to `folder`; name -> (class, path), as `label_studio.import_images` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {}
    for number in range(count):
        path = folder / f"image-{number:05}.jpg"
        path.write_bytes(photo(number))
        named[path.name] = (class_of(number), path)
    return named
