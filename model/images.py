"""Image bytes -> the tensor ResNet50 takes, within limits that keep a hostile or broken file harmless."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")  # none that starts another program
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
Image.MAX_IMAGE_PIXELS = None  # ours is checked instead, of every image
THINNEST = 8  # aspect ratio
RESIZE, CROP = 256, 224  # torchvision's IMAGENET1K_V1 evaluation preset

evaluation_crop = v2.Compose([v2.Resize(RESIZE, antialias=True), v2.CenterCrop(CROP)])
_to_tensor = v2.Compose(
    [
        evaluation_crop,
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
)


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


def decode(content: bytes, max_pixels: int) -> Image.Image:
    """The image of `read`, for those who do not ask whether something is missing of it. Raises ImageError."""
    return read(content, max_pixels).image


def read(content: bytes, max_pixels: int) -> Decoded:
    """The image in `content`, and what is missing of it.

    Raises ImageError where the bytes are no readable image or where it has more than `max_pixels` pixels
    (read off its header, before any pixel is decoded).
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(f"{width} x {height} pixels are over MAX_IMAGE_PIXELS ({max_pixels})")
        image.draft("RGB", (2 * RESIZE, 2 * RESIZE))  # JPEG: decode no larger than needed
        return Decoded(_to_rgb(ImageOps.exif_transpose(image)))
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"not a readable image ({type(error).__name__}: {error})") from error


def to_tensor(content: bytes, max_pixels: int) -> torch.Tensor:
    """`content` as a float32 tensor of shape (3, 224, 224), normalised for ImageNet weights. Raises ImageError."""
    return tensor_of(decode(content, max_pixels))


def tensor_of(image: Image.Image) -> torch.Tensor:
    """`image` as a float32 tensor of shape (3, 224, 224), normalised for ImageNet weights."""
    return _to_tensor(not_too_thin(image))


def not_too_thin(image: Image.Image) -> Image.Image:
    """Cut the ends of a very thin image, which the centre crop would drop after scaling them up to gigabytes."""
    longest = THINNEST * min(image.size)
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if image.size == (width, height) else image.crop((left, top, left + width, top + height))


def _to_rgb(image: Image.Image) -> Image.Image:
    """`image` as RGB. Pillow clips more than 8 bits to white, so those are scaled first."""
    if image.mode in DEEP:
        values = np.nan_to_num(np.asarray(image, np.float32))
        top = float(values.max(initial=0))
        full = 1.0 if top <= 1 and image.mode == "F" else 65535.0 if top > 255 else 255.0
        return Image.fromarray((np.clip(values / max(full, top), 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
