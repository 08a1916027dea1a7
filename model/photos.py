"""Photos on disk for training: shrunk once, then augmented differently in every epoch, or cropped plainly to be judged."""

import math
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from model.embeddings.images import decode
from model.networks.preprocessing import CENTRE_CROP, IMAGENET_MEAN, IMAGENET_STD, not_too_thin
from model.storage.files import write_atomically

SHORTER = 256  # pixels of the shorter side of a stored photo
QUALITY = 95
AREA = (0.35, 1.0)  # of a photo that a crop for training shows
RATIO = (3 / 4, 4 / 3)  # of its sides
LIGHT = 0.2  # the most by which brightness, contrast and saturation change

_normalise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)])


def store_photo(content: bytes, max_pixels: int, path: Path) -> None:
    """Write the image in `content` to `path` as a JPEG whose shorter side has 256 pixels. Raises ImageError."""
    image = functional.resize(not_too_thin(decode(content, max_pixels)), [SHORTER], antialias=True)
    write_atomically(path, lambda beside: image.save(beside, "JPEG", quality=QUALITY, subsampling=0))


class Augmentation:
    """What a photo may be taken for without changing its class: another framing, mirrored, another light.

    Crops of `size` pixels, smaller than the 224 of the evaluation: random crops show objects larger than a centre crop
    does, and fewer pixels make up for it (FixRes, Touvron 1906.06423) in half the time.

    These are torchvision's RandomResizedCrop, RandomHorizontalFlip and ColorJitter, draw by draw, but for their generator:
    theirs is the one of the whole process, which other threads use as well.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, path: Path, random: torch.Generator) -> torch.Tensor:
        """A float32 tensor of shape (3, size, size), normalised, in the guise that `random` draws."""
        image = _read(path)
        top, left, height, width = _framing(image.shape[-2], image.shape[-1], random)
        size = [self.size, self.size]
        image = functional.resized_crop(image, top, left, height, width, size, InterpolationMode.BILINEAR, antialias=True)
        if torch.rand(1, generator=random) < 0.5:
            image = functional.horizontal_flip(image)
        return _normalise(_in_another_light(image, random))


def _framing(height: int, width: int, random: torch.Generator) -> tuple[int, int, int, int]:
    """The top, left, height and width of a random part of an image: a share AREA of it, of a ratio of sides within RATIO;
    the whole image where ten tries find none that fits."""
    low, high = (math.log(ratio) for ratio in RATIO)
    for _ in range(10):
        area = height * width * _uniform(*AREA, random)
        ratio = torch.exp(torch.empty(1).uniform_(low, high, generator=random)).item()
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(torch.randint(0, height - h + 1, size=(1,), generator=random).item())
            return top, int(torch.randint(0, width - w + 1, size=(1,), generator=random).item()), h, w
    return 0, 0, height, width


def _in_another_light(image: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Brightness, contrast and saturation changed by up to LIGHT, in random order."""
    order = torch.randperm(4, generator=random).tolist()  # of four, as torchvision's draws are: the last is hue, which stays
    factors = [_uniform(1 - LIGHT, 1 + LIGHT, random) for _ in range(3)]
    adjust = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    for what in order:
        if what < len(adjust):
            image = adjust[what](image, factors[what])
    return image


def _uniform(low: float, high: float, random: torch.Generator) -> float:
    return torch.empty(1).uniform_(low, high, generator=random).item()


def plain(path: Path) -> torch.Tensor:
    """The centre of the photo, by which a training run is judged: float32 of shape (3, 224, 224), normalised."""
    with Image.open(path) as image:
        return _normalise(functional.pil_to_tensor(Image.fromarray(CENTRE_CROP.prepare(image))))


def _read(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return functional.pil_to_tensor(image)
