"""How an image becomes the pixels a network looks at. No torch in here: networks subtract mean and deviation themselves."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
THINNEST = 8  # ratio of sides of an image that is cropped; the rest of a thinner one would be scaled up to gigabytes

REDUCING_GAP = 3.0  # of Pillow's: an image that is far larger is first averaged to thrice what is wanted, which is quicker

Pixels = NDArray[np.uint8]  # (height, width, 3), RGB
Size = tuple[int, int]  # width, height


@dataclass(frozen=True)
class Preprocessing(ABC):
    """What is done to an image, and which mean and standard deviation of RGB in [0, 1] its network wants subtracted.

    name: part of a backbone's name: other pixels are other embeddings.
    """

    name: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    @property
    @abstractmethod
    def least_side(self) -> int:
        """Pixels below which no side of a larger image should be decoded, since that would show."""

    @abstractmethod
    def prepare(self, image: Image.Image) -> Pixels:
        """The pixels, uint8 (height, width, 3), of an RGB image of any size."""


@dataclass(frozen=True)
class WholeImage(Preprocessing):
    """The whole image: its shorter side becomes `shorter` pixels, the longer one as many as keep the ratio of sides, rounded to
    a multiple of `step`, the network's stride. What is longer than `longest` times the shorter side loses its ends.

    So there are few shapes, and images of one shape share a batch.
    """

    shorter: int = 256
    step: int = 32
    longest: int = 2

    @property
    def least_side(self) -> int:
        """A quarter more than is looked at: what decoders leave out, they average, as resizing would."""
        return self.shorter * 5 // 4

    def prepare(self, image: Image.Image) -> Pixels:
        """uint8 (height, width, 3), one of the sides `shorter` pixels long."""
        cut = _without_ends(image.size, self.longest)
        width, height = (right - left for left, right in ((cut[0], cut[2]), (cut[1], cut[3])))
        shorter = min(width, height)
        size = [self.step * round(self.shorter * side / shorter / self.step) for side in (width, height)]
        return np.asarray(image.resize((size[0], size[1]), Image.Resampling.BILINEAR, box=cut, reducing_gap=REDUCING_GAP))


@dataclass(frozen=True)
class ResizeAndCrop(Preprocessing):
    """Resized, then the centre cut out, as the libraries of networks do it: pixel by pixel as torchvision does with Pillow.

    resize: of the shorter side, or (width, height) whatever the ratio of sides; crop: (width, height).
    """

    resize: int | Size = 256
    crop: Size = (224, 224)
    interpolation: Image.Resampling = Image.Resampling.BILINEAR

    @property
    def least_side(self) -> int:
        """Twice what is looked at: the library's own pixels, to a grey level or two."""
        return 2 * (self.resize if isinstance(self.resize, int) else max(self.resize))

    def prepare(self, image: Image.Image) -> Pixels:
        """uint8 (height, width, 3) of `crop` pixels."""
        if isinstance(self.resize, int):
            image = not_too_thin(image)
            shorter = min(image.size)
            size = tuple(self.resize if side == shorter else int(self.resize * side / shorter) for side in image.size)
        else:
            size = self.resize
        resized = image.resize((size[0], size[1]), self.interpolation) if size != image.size else image
        left, top = (round((side - wanted) / 2) for side, wanted in zip(resized.size, self.crop, strict=True))
        return np.asarray(resized.crop((left, top, left + self.crop[0], top + self.crop[1])))


def not_too_thin(image: Image.Image) -> Image.Image:
    """Cut the ends of a very thin image, which the centre crop would drop after scaling them up to gigabytes."""
    cut = _without_ends(image.size, THINNEST)
    return image if cut == (0, 0, *image.size) else image.crop(cut)


def _without_ends(size: Size, longest: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the middle of an image, at most `longest` times as long as its shorter side."""
    most = longest * min(size)
    width, height = min(size[0], most), min(size[1], most)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


WHOLE_IMAGE = WholeImage("whole256-v1")
CENTRE_CROP = ResizeAndCrop("resize256-crop224-v1")  # torchvision's IMAGENET1K_V1 preset
