"""A folder with a sub-folder for each class: its images, and near-copies of them. No pixel is read in here but for a copy."""

import hashlib
import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageOps

EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"}
AREA = (0.80, 0.95)  # of an image that a near-copy shows
QUALITY = (30, 90)  # of its JPEG


def images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The images of each sub-folder of `folder`. Raises ValueError where there are fewer than two classes."""
    found = {
        sub.name: sorted(path for path in sub.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
        for sub in sorted(folder.iterdir() if folder.is_dir() else [])
        if sub.is_dir() and not sub.name.startswith(".")
    }
    found = {name: paths for name, paths in found.items() if paths}
    if len(found) < 2:
        raise ValueError(
            f"{folder} needs at least two sub-folders with images: their names become the classes. "
            f"Found: {', '.join(found) or 'none'}."
        )
    return found


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
        """Names the content without reading it: another size or time of change is another image."""
        status = self.path.stat()
        return f"{self.path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\0{self.copy}"


@dataclass(frozen=True)
class Listing:
    """The images of a folder, copies included, in the order of classes and names.

    labels: the class of each source; originals: the position of the source it is a copy of, its own for an original;
    test: whether the file-name prefix says that it is for the test; left_out: files with neither prefix.
    """

    classes: tuple[str, ...]
    sources: tuple[Source, ...]
    labels: tuple[int, ...]
    originals: tuple[int, ...]
    test: tuple[bool, ...]
    left_out: int


def list_images(folder: Path, prefixes: tuple[str, str] | None = None, copies: int = 0) -> Listing:
    """The images of `folder` with `copies` near-copies of each that may be labelled.

    prefixes: of the file names for labelling and for the test, where they tell the two apart. Raises ValueError.
    """
    by_class = images_by_class(folder)
    rows: list[tuple[Source, int, int, bool]] = []
    left_out = 0
    for label, paths in enumerate(by_class.values()):
        for path in paths:
            test = prefixes is not None and path.name.startswith(prefixes[1])
            if prefixes and not test and not path.name.startswith(prefixes[0]):
                left_out += 1
                continue
            original = len(rows)
            rows += [(Source(path, copy), label, original, test) for copy in range(1 + (0 if test else copies))]
    if prefixes:
        _check_prefixes(folder, prefixes, [row[3] for row in rows])
    sources, labels, originals, tests = zip(*rows, strict=True)
    return Listing(tuple(by_class), sources, labels, originals, tests, left_out)


def near_copy(content: bytes, number: int, max_pixels: int) -> bytes:
    """A near-copy of the image in `content` as a JPEG: cropped, perhaps mirrored, at another quality.

    The same content and number give the same copy. Raises ImageError.
    """
    from model.images import decode  # brings torch, which most processes of a simulation do without

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


def _check_prefixes(folder: Path, prefixes: tuple[str, str], test: Sequence[bool]) -> None:
    for prefix, count in zip(prefixes, (len(test) - sum(test), sum(test)), strict=True):
        if not count:
            raise ValueError(f"--split {'/'.join(prefixes)}: no image in {folder} has a name that starts with {prefix!r}.")
