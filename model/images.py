"""Image bytes -> the tensor ResNet50 takes, within limits that keep a hostile or broken file harmless."""

import io
import warnings

import torch
from PIL import Image, ImageOps
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESIZE, CROP = 256, 224  # torchvision's IMAGENET1K_V1 evaluation preset

_to_tensor = v2.Compose(
    [
        v2.Resize(RESIZE, antialias=True),
        v2.CenterCrop(CROP),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
)


class ImageError(ValueError):
    """An image that cannot be had or read; the message says why, for the log and for `status`."""


def decode(content: bytes, max_pixels: int) -> Image.Image:
    """The image in `content` as RGB, turned as its EXIF data says.

    Raises ImageError where the bytes are no readable image or where it has more than `max_pixels` pixels
    (read off its header, before any pixel is decoded).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content))
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(f"{width} x {height} pixels are over MAX_IMAGE_PIXELS ({max_pixels})")
            image.draft("RGB", (2 * RESIZE, 2 * RESIZE))  # JPEG: decode no larger than needed
            image = ImageOps.exif_transpose(image)
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            return image.convert("RGB")
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"not a readable image ({type(error).__name__}: {error})") from error


def to_tensor(content: bytes, max_pixels: int) -> torch.Tensor:
    """`content` as a float32 tensor of shape (3, 224, 224), normalised for ImageNet weights. Raises ImageError."""
    return _to_tensor(decode(content, max_pixels))
