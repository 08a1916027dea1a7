"""A small sample set drawn with Pillow: shapes that are easy, hard, and near-copies of each other. No download."""

import io
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("circle", "square", "star")
EACH = 120  # images per class
SIZE = 256
COPIES = 0.25  # share of near-copies: what makes plain uncertainty sampling waste labels
HARD = 0.35  # share of small, faint or half-hidden shapes
Point = tuple[float, float]


def draw_samples(folder: Path, report: Callable[[int, int], None], seed: int = 0) -> None:
    """Write the set to `folder`, a sub-folder a class; what is there already is left alone."""
    total = len(CLASSES) * EACH
    for number, (name, content) in enumerate(_samples(seed), 1):
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(".tmp")
            beside.write_bytes(content)
            beside.replace(path)
        report(number, total)


def _samples(seed: int) -> Iterator[tuple[str, bytes]]:
    for shape in CLASSES:
        chance = random.Random(f"{seed}{shape}")  # noqa: S311  pictures, not secrets
        original = _draw(shape, chance)
        for number in range(EACH):
            copy = number > 0 and chance.random() < COPIES
            if not copy:
                original = _draw(shape, chance)
            image = _near_copy(original, chance) if copy else original
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=chance.randint(70, 95))
            yield f"{shape}/{number:03}.jpg", buffer.getvalue()


def _draw(shape: str, chance: random.Random) -> Image.Image:
    hard = chance.random() < HARD
    background = [chance.randint(40, 215) for _ in range(3)]
    contrast = chance.randint(18, 40) if hard else chance.randint(70, 120)
    colour = tuple(max(0, min(255, c + contrast * chance.choice((-1, 1)))) for c in background)
    image = Image.new("RGB", (SIZE, SIZE), tuple(background))
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(0, 14)):  # clutter
        x, y, r = chance.randrange(SIZE), chance.randrange(SIZE), chance.randint(3, 12)
        shade = tuple(max(0, min(255, c + chance.randint(-35, 35))) for c in background)
        draw.rectangle((x, y, x + r, y + r), fill=shade)
    radius = chance.uniform(20, 38) if hard else chance.uniform(45, 90)
    centre = (chance.uniform(radius, SIZE - radius), chance.uniform(radius, SIZE - radius))
    draw.polygon(_outline(shape, centre, radius, chance.uniform(0, math.tau)), fill=colour)
    if hard and chance.random() < 0.6:  # hide a part
        left, top = centre[0] + chance.uniform(-radius, radius), centre[1] + chance.uniform(-radius, radius)
        draw.rectangle((left, top, left + radius, top + radius), fill=tuple(background))
    noise = Image.frombytes("L", (SIZE, SIZE), chance.randbytes(SIZE * SIZE)).convert("RGB")
    return Image.blend(image, noise, 0.2 if hard else 0.04).filter(ImageFilter.GaussianBlur(1.6 if hard else 0.6))


def _outline(shape: str, centre: Point, radius: float, turn: float) -> list[Point]:
    corners, inner = {"circle": (40, 1.0), "square": (4, 1.0), "star": (10, 0.45)}[shape]
    radii = [radius * (inner if i % 2 else 1.0) for i in range(corners)]
    angles = [turn + math.tau * i / corners for i in range(corners)]
    return [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def _near_copy(image: Image.Image, chance: random.Random) -> Image.Image:
    cut = chance.randint(14, 20)  # more than what turning leaves black
    turned = image.rotate(chance.uniform(-3, 3), Image.Resampling.BILINEAR)
    return turned.crop((cut, cut, SIZE - cut, SIZE - cut)).resize((SIZE, SIZE))
