"""Backbones: networks with weights, and the embeddings of images that they make. No random weights, ever."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.networks import network
from model.networks.arithmetic import ARITHMETICS, FLOAT16, FLOAT32, GPU_BATCH, PROCESSOR_BATCH, Forward, forward
from model.networks.preprocessing import Pixels
from model.networks.weights_file import WeightsError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BackboneSpec:
    """All that a backbone's embeddings depend on.

    network: its name; weights: a file, None for the library's; preprocessing, arithmetic: their names.
    """

    network: str
    weights: Path | None
    preprocessing: str
    arithmetic: str

    @classmethod
    def of(cls, text: str, weights: Path | None, arithmetic: str, preprocessing: str = "") -> "BackboneSpec":
        """The backbone that people name as `text`, "NETWORK" or "NETWORK=FILE"; `weights` is the file where they name none.

        preprocessing: by default the network's own. Raises WeightsError where there is no such network.
        """
        name, _, file = text.partition("=")
        found = network(name)
        path = Path(file).expanduser() if file else weights
        return cls(name, path, found.preprocessing(preprocessing).name, arithmetic)


def standard_of(spec: BackboneSpec) -> BackboneSpec:
    """The same network on images prepared as its library does it, which for most networks is what `spec` has already."""
    return replace(spec, preprocessing=network(spec.network).preprocessings[-1].name)


class Backbone:
    """A network that makes embeddings of images. batch: how many images at once it is fastest with."""

    def __init__(self, spec: BackboneSpec, compute: Forward) -> None:
        self.spec = spec
        self.name = backbone_name(spec)
        self.width = network(spec.network).width
        self.batch = GPU_BATCH if spec.arithmetic == FLOAT16 else PROCESSOR_BATCH
        self._preprocessing = network(spec.network).preprocessing(spec.preprocessing)
        self._compute = compute

    @property
    def least_side(self) -> int:
        """Pixels below which no side of a larger image should be decoded, see `model.embeddings.images.read`."""
        return self._preprocessing.least_side

    def prepare(self, image: Image.Image) -> Pixels:
        """An RGB image as the network takes it, uint8 (H, W, 3)."""
        return self._preprocessing.prepare(image)

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings, float32 (N, D), L2-normalised, of N images of one shape as `prepare` gives them, uint8 (N, H, W, 3)."""
        embeddings = self._compute(images)
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def load_backbone(spec: BackboneSpec, cache: Path | None = None) -> Backbone:
    """The backbone that `spec` says. cache: a folder in which its network is kept as the processor takes it, for the next
    process to have it at once. Raises WeightsError where network, weights or arithmetic cannot be had.
    """

    def make() -> "nn.Module":
        from model.networks.torch_backbone import Embedder

        return Embedder(spec)

    kept = kept_name(backbone_name(spec))  # before anything is loaded: it says whether there is such a file of weights
    height, width, _ = network(spec.network).preprocessing(spec.preprocessing).prepare(Image.new("RGB", (256, 256))).shape
    return Backbone(spec, forward(spec.arithmetic, make, (height, width), cache and cache / kept))


def backbone_name(spec: BackboneSpec) -> str:
    """A name of `spec` that is good for a file, without loading its network. Embeddings of different names must never be mixed.

    Raises WeightsError where the file of weights is none, or cannot be read.
    """
    source = _digest(spec.weights) if spec.weights else network(spec.network).weights
    arithmetic = "" if spec.arithmetic == FLOAT32 else f"-{spec.arithmetic}"
    return f"{spec.network}-{source}-{spec.preprocessing}{arithmetic}".replace(":", "-").replace("/", "-")


def kept_name(name: str) -> str:
    """The beginning of the files in which `load_backbone` keeps the network of the backbone `name`: the same for any
    arithmetic."""
    for arithmetic in ARITHMETICS:
        name = name.removesuffix(f"-{arithmetic}")
    return name


def _digest(path: Path) -> str:
    try:
        if not path.is_file():
            raise WeightsError(f"MODEL_WEIGHTS={path} is no file: set it to a state dict (.safetensors or .pth)")
        status = path.stat()
        return _digest_of(path, status.st_mtime_ns, status.st_size)
    except OSError as error:  # as while it is copied to where it shall be
        raise WeightsError(f"MODEL_WEIGHTS={path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=16)
def _digest_of(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
