"""Photos on disk for training: shrunk once, then augmented differently in every epoch, or cropped plainly to be judged."""

from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from model.files import write_atomically
from model.images import MEAN, RESIZE, STD, decode, evaluation_crop, not_too_thin

QUALITY = 95

_normalise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])


def store_photo(content: bytes, max_pixels: int, path: Path) -> None:
    """Write the image in `content` to `path` as a JPEG whose shorter side has 256 pixels. Raises ImageError."""
    image = v2.functional.resize(not_too_thin(decode(content, max_pixels)), [RESIZE], antialias=True)
    write_atomically(path, lambda beside: image.save(beside, "JPEG", quality=QUALITY, subsampling=0))


class Augmentation:
    """What a photo may be taken for without changing its class: another framing, mirrored, another light.

    Crops of `size` pixels, smaller than the 224 of the evaluation: random crops show objects larger than a centre crop
    does, and fewer pixels make up for it (FixRes, Touvron 1906.06423) in half the time. Draws from torch's generator.
    """

    def __init__(self, size: int) -> None:
        self._transform = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(0.35, 1.0), interpolation=InterpolationMode.BILINEAR, antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )

    def __call__(self, path: Path) -> torch.Tensor:
        """A float32 tensor of shape (3, size, size), normalised."""
        return _normalise(self._transform(_read(path)))


def plain(path: Path) -> torch.Tensor:
    """The photo as embeddings see it: float32 of shape (3, 224, 224), normalised."""
    return _normalise(evaluation_crop(_read(path)))


def _read(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return v2.functional.pil_to_tensor(image)
