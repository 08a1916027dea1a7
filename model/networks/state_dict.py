"""State dicts in files: read without running anything in them, and held against the network that they shall fill."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from model.networks import Network
from model.networks.weights_file import WeightsError, prefix_of

State = dict[str, torch.Tensor]
COUNTERS = "num_batches_tracked"  # which a network can do without


def read_state(path: Path) -> tuple[State, dict[str, str]]:
    """The arrays of a .safetensors file or of one that torch.save wrote, and its metadata. Raises WeightsError."""
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


def fill(module: nn.Module, state: State, network: Network, source: str) -> None:
    """Give `module`, which `network` built, the arrays of `state` in float32: all that it has, and no more than it needs.

    The names may have a common beginning such as `module.`, and the classifier any number of classes. source: where the
    arrays are from, for the error. Raises WeightsError where they do not fit.
    """
    wanted = module.state_dict()
    prefix = prefix_of(state, wanted)
    named = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    try:
        renamed = network.renamed(named, module)
        for key in [key for key in renamed if key.startswith(tuple(f"{name}." for name in network.unneeded))]:
            del renamed[key]
        if why := _misfit(renamed, wanted, network.name):
            raise WeightsError(why)
    except WeightsError as error:
        raise WeightsError(f"{source} does not fit {network.name}: {error}") from error
    for key, value in renamed.items():
        renamed[key] = value.float() if value.is_floating_point() else value
    module.load_state_dict(renamed, assign=True)


def _misfit(state: State, wanted: State, name: str) -> str:
    """Why the arrays of `state` are not those that are `wanted`; empty where they are."""
    missing = [key for key in wanted if key not in state and not key.endswith(COUNTERS)]
    if missing:
        return f"it lacks {len(missing)} of {len(wanted)} arrays, such as {missing[0]}."
    if unknown := [key for key in state if key not in wanted]:
        return f"it has {len(unknown)} arrays too many, such as {unknown[0]}."
    for key, value in state.items():
        if value.shape != wanted[key].shape:
            return f"its {key} has shape {list(value.shape)}, that of {name} {list(wanted[key].shape)}."
    return ""


def _unpacked(loaded: Any) -> State:
    """The state dict in what a training script saved, which may hold it beside an epoch and an optimizer's state."""
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(name), dict) and loaded[name]:
            return loaded[name]
    if not isinstance(loaded, dict):
        raise TypeError("it is not a state dict of tensors")
    return loaded
