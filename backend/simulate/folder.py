"""A folder with a sub-folder for each class: its files, and near-copies of them."""

import hashlib
import io
import math
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageOps

from backend.simulate.errors import OptionsError

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
AREA = (0.80, 0.95)  # of an image that a near-copy shows
QUALITY = (30, 90)  # of its JPEG
RECIPE = f"crop{AREA}-mirror-jpeg{QUALITY}-v1"  # of near-copies: another one makes other images


def images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each sub-folder of `folder`. Raises OptionsError where there are fewer than two classes."""
    by_class = {
        sub.name: sorted(path for path in sub.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
        for sub in sorted(folder.iterdir() if folder.is_dir() else [])
        if sub.is_dir() and not sub.name.startswith(".")
    }
    by_class = {name: paths for name, paths in by_class.items() if paths}
    if len(by_class) < 2:
        raise OptionsError(
            f"{folder} needs at least two sub-folders with images: their names become the classes. "
            f"Found: {', '.join(by_class) or 'none'}."
        )
    return by_class


@dataclass(frozen=True)
class Source:
    """Where an image comes from: the file `path`, or the near-copy of that number, from 1 on; 0 is the file itself."""

    path: Path
    copy: int = 0

    def read(self, max_pixels: int) -> bytes:
        """The image's bytes. Raises ImageError, for a copy of what is no image, or OSError."""
        content = self.path.read_bytes()
        return near_copy(content, self.copy, max_pixels) if self.copy else content

    @property
    def reference(self) -> str:
        """Names the content without reading it: another size or time of change is another image, as is another copy."""
        status, copy = self.path.stat(), f"{self.copy} {RECIPE}" if self.copy else "0"
        return f"{self.path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{copy}"


def near_copy(content: bytes, number: int, max_pixels: int) -> bytes:
    """A near-copy of the image in `content` as a JPEG: cropped, perhaps mirrored, at another quality.

    The same content and number give the same copy. Raises ImageError.
    """
    from model.embeddings.images import decode  # brings torch, which most processes of a simulation do without

    chance = random.Random(hashlib.sha256(content).digest() + str(number).encode())  # noqa: S311  pictures, not secrets
    image = decode(content, max_pixels)
    side = math.sqrt(chance.uniform(*AREA))
    width, height = max(1, round(image.width * side)), max(1, round(image.height * side))
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    image = image.crop((left, top, left + width, top + height))
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=chance.randint(*QUALITY))
    return buffer.getvalue()
