"""Image bytes -> an RGB image, within limits that keep a hostile or broken file harmless."""

import io
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from model.embeddings.image_files import JPEG_END, ORIENTATION, format_of, is_cut_off_webp, orientation, scans, without_metadata

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # none that starts another program
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # broken tags and the like, of each single file
Image.MAX_IMAGE_PIXELS = None  # ours is checked instead, of every image
LEAST_SIDE = 512  # pixels: no side of a JPEG is decoded smaller than that, if it is larger, unless told otherwise
LEAST_ROWS = 0.1  # share of the rows that must have come of a file that was cut off
JPEG_BLOCK = 16  # rows that are decoded together
MISSING = (124, 116, 104)  # the colour of missing rows: ImageNet's mean, which is zero to the network
WHITE = (255, 255, 255)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF orientation


class ImageError(ValueError):
    """An image that cannot be had or read; the message says why, for the log and for `status`.

    again_in: seconds after which another try may go well, as after a time-out; None where the file itself is at fault.
    """

    def __init__(self, message: str, again_in: float | None = None) -> None:
        super().__init__(message)
        self.again_in = again_in


@dataclass(frozen=True)
class Decoded:
    """A readable image as RGB, turned as its EXIF data says. note: what is missing of it, empty for a whole one."""

    image: Image.Image
    note: str = ""


def decode(content: bytes, max_pixels: int, least_side: int = LEAST_SIDE) -> Image.Image:
    """The image of `read`, for those who do not ask whether something is missing of it. Raises ImageError."""
    return read(content, max_pixels, least_side).image


def read(content: bytes, max_pixels: int, least_side: int = LEAST_SIDE) -> Decoded:
    """The image in `content` as people see it: transparent parts on white, the first frame of an animation.

    Metadata are not read, but for the orientation, so that broken ones do no harm. Of a JPEG or PNG that was cut off
    there is what came, the rest in one colour. A large JPEG may come a half, a quarter or an eighth of its size, though no side
    shorter than `least_side`: that takes less time. Raises ImageError where the bytes are no readable image, where less than
    a tenth came, or where the image has more than `max_pixels` pixels (read off its header, before any pixel is decoded).
    """
    kind = format_of(content)
    try:
        return _read(content, kind, max_pixels, least_side)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"not a readable image: {_why(kind, error, content)}") from error


def _read(content: bytes, kind: str, max_pixels: int, least_side: int) -> Decoded:
    pixels, exif = without_metadata(content)
    opened = _open(pixels, kind, max_pixels, least_side)
    try:
        opened.load()
        image, note = _to_rgb(opened), ""
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if kind not in ("JPEG", "PNG"):
            raise
        image, note = _cut_off(opened, pixels, kind, max_pixels, least_side, error)
    turn = TURNS.get(_orientation(opened, exif))
    return Decoded(image.transpose(turn) if turn is not None else image, note)


def _open(content: bytes, kind: str, max_pixels: int, least_side: int) -> ImageFile.ImageFile:
    """The image with its header read, to be decoded no larger than needed."""
    formats = (*FORMATS, "HEIF") if kind == "HEIC" and _heic_is_installed() else FORMATS
    image = Image.open(io.BytesIO(content), formats=formats)
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} pixels are over MAX_IMAGE_PIXELS ({max_pixels})")
    image.draft("RGB", (least_side, least_side))  # only a JPEG can be decoded smaller
    return image


@lru_cache
def _heic_is_installed() -> bool:
    """Whether pillow-heif is there, which is an extra since it brings x265 under the GPL."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _cut_off(
    opened: ImageFile.ImageFile, content: bytes, kind: str, max_pixels: int, least_side: int, error: Exception
) -> tuple[Image.Image, str]:
    """What came, as RGB, of a file whose decoding ended early with `error`, and a note about it."""
    opened.tile = []  # what was decoded stays, and is not asked for again
    rows, height = _decoded_rows(opened), opened.height
    note = "cut off: the lower rows are missing"
    if kind == "JPEG":
        # With an end of its own the decoder also gives the block row that it was in, and a progressive image from its first
        # scan on, less sharp. The rows that it makes up below are known from the first try.
        opened = _open(content + JPEG_END, kind, max_pixels, least_side)
        rows = min((-(-rows // JPEG_BLOCK) + 1) * JPEG_BLOCK, height) if rows else height if scans(content) > 1 else 0
        note = note if rows < height else "cut off: its end is missing"
    if rows < LEAST_ROWS * height:
        raise ImageError(f"not a readable image: a {kind} file that is cut off, of which less than a tenth came") from error
    image = _to_rgb(opened)
    image.paste(MISSING, (0, rows, image.width, height))
    return image, note if kind == "JPEG" or rows < height else ""


def _decoded_rows(image: Image.Image) -> int:
    """How many rows were decoded; memory that no row was written to is zero."""
    written = np.asarray(image) != 0
    rows = np.flatnonzero(written.reshape(len(written), -1).any(axis=1))
    return int(rows[-1]) + 1 if len(rows) else 0


def _orientation(image: ImageFile.ImageFile, exif: bytes) -> int:
    if image.format == "TIFF":
        value = image.getexif().get(ORIENTATION)
        return value if isinstance(value, int) else 1
    other = image.info.get("exif")
    return orientation(exif or (other if isinstance(other, bytes) else b""))


def _to_rgb(image: Image.Image) -> Image.Image:
    """`image` as RGB, on white. Pillow clips more than 8 bits to white, so those are scaled first."""
    if image.mode in DEEP:
        values = np.nan_to_num(np.asarray(image, np.float32))
        top = float(values.max(initial=0))
        full = 1.0 if top <= 1 and image.mode == "F" else 65535.0 if top > 255 else 255.0
        grey = (np.clip(values / max(full, top), 0, 1) * 255).astype(np.uint8)
        grey[values == image.info.get("transparency")] = WHITE[0]  # the value that a PNG says is transparent
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    on_white = Image.new("RGB", image.size, WHITE)
    on_white.paste(image, mask=image.getchannel("A"))
    return on_white


def _why(kind: str, error: Exception, content: bytes) -> str:
    """What a file is that could not be decoded, with the next step."""
    if kind == "HEIC":
        if not _heic_is_installed():
            return "a HEIC photo; convert it to JPEG, or install the extra: pip install 'label-studio-active-learning[heic]'"
    elif not kind:
        if isinstance(error, UnidentifiedImageError):
            return "its format is unknown; JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM and AVIF are read"
    elif kind not in FORMATS:
        return kind if kind.startswith("an empty") else f"{kind}; give the image itself, as a JPEG or PNG"
    name = f"a broken {kind} file" if kind else "a broken file"
    if isinstance(error, UnidentifiedImageError):
        return f"{name}, whose header cannot be read"
    if "truncated" in str(error).lower() or (kind == "WEBP" and is_cut_off_webp(content)):
        return f"{name}, which is cut off"
    return f"{name} ({type(error).__name__}: {str(error)[:200]})"
