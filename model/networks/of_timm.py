"""Networks of timm, an optional extra: "timm:NAME" with any of its names, such as timm:vit_small_patch14_dinov2.lvd142m."""

import difflib
import math
import os
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from PIL import Image

from model.networks.network import Network
from model.networks.preprocessing import ResizeAndCrop
from model.networks.weights_file import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from model.networks.network import State

PREFIX = "timm:"
TENSORFLOW = "_conv_stem.weight"  # the first array of an EfficientNet's file whose weights were TensorFlow's
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_SQUEEZE = {"_depthwise_conv": "conv_dw", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_SEPARABLE = _SQUEEZE | {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDED = _SQUEEZE | {"_expand_conv": "conv_pw", "_bn0": "bn1", "_bn1": "bn2", "_project_conv": "conv_pwl", "_bn2": "bn3"}


def find(text: str) -> Network:
    """The network "timm:NAME". Raises WeightsError with the next step where there is none, or no vector for an image."""
    name = text.removeprefix(PREFIX)
    timm = _timm(text)
    try:
        weights = timm.models.get_pretrained_cfg(name) if timm.models.is_model(name) else None
    except RuntimeError:  # a name that is known, with a tag that is not
        weights = None
    if weights is None:
        near = difflib.get_close_matches(name, timm.list_models() + timm.list_pretrained(), 3, 0.7)
        raise WeightsError(f"timm has no network {name!r}" + (f": did you mean {' or '.join(near)}?" if near else "."))
    if not weights.classifier:
        raise WeightsError(f"{text} gives many vectors for an image, where embeddings take one: take another network.")
    classifiers = (weights.classifier,) if isinstance(weights.classifier, str) else tuple(weights.classifier)
    return Network(
        text,
        _width(_build(name, "meta")),
        weights.tag or "none",
        (preprocessing(text, timm.data.resolve_data_config(pretrained_cfg=weights.to_dict())),),
        build=partial(_build, name, "cpu"),
        features=_vector,
        state=partial(_state, name),
        whole=partial(_build, name, "meta"),
        unneeded=classifiers,
        classifiers=classifiers,
        renamed=partial(_renamed, text),
    )


def names() -> list[str]:
    """The networks that timm has, as "timm:NAME"; none where timm is not installed."""
    try:
        return [PREFIX + name for name in _timm("").list_models()]
    except WeightsError:
        return []


def preprocessing(text: str, config: dict[str, Any]) -> ResizeAndCrop:
    """timm's data `config` of the network `text` as ours. Raises WeightsError where timm would add a border."""
    height, width = config["input_size"][1:]
    resize = [math.floor(side / config["crop_pct"]) for side in (width, height)]
    squashed = config["crop_mode"] == "squash"
    if resize[0] < width or config["crop_mode"] == "border" or (width != height and not squashed):
        raise WeightsError(f"{text} wants images with a border, which are not made here: take another network.")
    interpolation = config["interpolation"]
    size, crop = (f"{one}" if one == other else f"{one}x{other}" for one, other in (resize, (width, height)))
    return ResizeAndCrop(
        f"{'squash' if squashed else 'resize'}{size}-crop{crop}{'' if interpolation == 'bilinear' else f'-{interpolation}'}-v1",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resize=(resize[0], resize[1]) if squashed else resize[0],
        crop=(width, height),
        interpolation=Image.Resampling[interpolation.upper()],
    )


def _timm(text: str) -> ModuleType:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read by huggingface_hub, through which timm downloads weights
    try:
        import timm
    except ImportError as error:
        raise WeightsError(
            f"{text} needs timm: install the extra, pip install 'label-studio-active-learning[timm]'."
        ) from error
    return timm


def _build(name: str, device: str, classes: int = 0) -> "nn.Module":
    """The network with a classifier of so many classes, or none. On torch's meta device some lack values that no file holds:
    buffers of their own."""
    import torch

    with torch.device(device):
        return _timm(name).create_model(name, pretrained=False, num_classes=classes)


def _width(module: Any) -> int:
    return int(module.head_hidden_size)


def _state(name: str) -> "State":
    """The weights that timm downloads, under the names of today."""
    timm = _timm(name)
    if not timm.models.get_pretrained_cfg(name).has_weights:
        raise OSError("timm has none")
    return timm.create_model(name, pretrained=True, num_classes=0).state_dict()


def _vector(module: "nn.Module", images: "torch.Tensor") -> "torch.Tensor":
    """What a classifier would be fed, (N, D)."""
    return module(images)


def _renamed(text: str, state: "State", module: "nn.Module") -> "State":
    """The arrays under timm's names: a file may hold TensorFlow's, the authors', or timm's of another day."""
    if prefix := next((f".{key}".removesuffix(TENSORFLOW) for key in state if f".{key}".endswith(TENSORFLOW)), ""):
        if not text.startswith(f"{PREFIX}tf_"):
            raise WeightsError(f"it holds weights that were TensorFlow's: take {text.replace(PREFIX, f'{PREFIX}tf_', 1)}")
        return _of_tensorflow({f".{key}".removeprefix(prefix): value for key, value in state.items()}, module)
    adapt = getattr(sys.modules[type(module).__module__], "checkpoint_filter_fn", None)
    return adapt(state, module) if adapt else state


def _of_tensorflow(state: "State", module: Any) -> "State":
    """The arrays of an EfficientNet, whose file numbers its blocks through, where timm has stages of blocks."""
    blocks = [f"blocks.{stage}.{block}" for stage, parts in enumerate(module.blocks) for block in range(len(parts))]

    def renamed(key: str) -> str:
        number, _, rest = key.removeprefix("_blocks.").partition(".")
        if not number.isdecimal():
            part, dot, last = key.partition(".")
            return _TOP.get(part, part) + dot + last
        part, dot, last = rest.partition(".")
        names = _EXPANDED if f"_blocks.{number}._expand_conv.weight" in state else _SEPARABLE
        return f"{blocks[int(number)]}.{names.get(part, part)}{dot}{last}"

    return {renamed(key): value for key, value in state.items()}
