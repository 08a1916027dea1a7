"""Networks of torchvision: its classifiers of images, which give embeddings once their last layer is left out."""

import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from PIL import Image

from model.networks.network import Network
from model.networks.preprocessing import CENTRE_CROP, WHOLE_IMAGE, Preprocessing, ResizeAndCrop

if TYPE_CHECKING:
    import torch
    from torch import nn

    from model.networks.network import State

WEIGHTS = "IMAGENET1K_V1"  # where a network has them, else the library's default: newer recipes suit embeddings less
AUXILIARY = ("AuxLogits", "aux1", "aux2")  # classifiers that helped Inception and GoogLeNet in training


def known(
    name: str,
    *,
    width: int,
    classifier: str,
    preprocessings: tuple[Preprocessing, ...],
    weights: str = WEIGHTS.lower(),
    tunable: bool = False,
) -> Network:
    """The classifier `name` of torchvision's, of which all this is known. classifier: the name of its last layer."""
    return Network(
        name,
        width,
        weights,
        preprocessings,
        build=partial(_build, name),
        features=_last_map if tunable else _vector,
        state=partial(_state, name),
        whole=partial(_whole, name),
        unneeded=(classifier, *AUXILIARY),
        classifiers=(classifier,),
        options=partial(_options, name),
        renamed=partial(_renamed, name),
        tunable=tunable,
    )


def find(name: str) -> Network:
    """The classifier `name`, one of `names`, with the preprocessing of its weights."""
    from torchvision.models import ResNet

    module = _whole(name)
    classifier, width = _last_layer(module)
    weights = _weights(name)
    return known(
        name,
        width=width,
        classifier=classifier,
        preprocessings=(preprocessing(weights.transforms()),),
        weights=weights.name.lower(),
        tunable=isinstance(module, ResNet),
    )


@cache
def names() -> tuple[str, ...]:
    """The classifiers of images that torchvision has."""
    from torchvision import models

    return tuple(models.list_models(module=models))


def others() -> frozenset[str]:
    """What else torchvision has: networks that find objects or outlines, and those for videos or in integers."""
    from torchvision import models

    return frozenset(models.list_models()) - frozenset(names())


def preprocessing(preset: Any) -> ResizeAndCrop:
    """torchvision's `preset` ImageClassification as ours."""
    (resize,), (crop,), interpolation = preset.resize_size, preset.crop_size, preset.interpolation.value
    kind = "" if interpolation == "bilinear" else f"-{interpolation}"
    return ResizeAndCrop(
        f"resize{resize}-crop{crop}{kind}-v1",
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        resize=resize,
        crop=(crop, crop),
        interpolation=Image.Resampling[interpolation.upper()],
    )


def _weights(name: str) -> Any:
    from torchvision.models import get_model_weights

    known_weights = get_model_weights(name)
    return known_weights.__members__.get(WEIGHTS, known_weights.DEFAULT)


def _state(name: str) -> "State":
    return _weights(name).get_state_dict(progress=True, check_hash=True)


def _build(name: str) -> "nn.Module":
    from torch import nn

    module = _whole(name)
    module.set_submodule(_last_layer(module)[0], nn.Identity())
    return module


def _whole(name: str, classes: int = 1000) -> "nn.Module":
    """The network with its classifier, on torch's meta device: that takes no time, and no memory for weights."""
    import torch
    from torchvision.models import get_model_builder

    with torch.device("meta"), _sizes_are_numbers():
        return get_model_builder(name)(weights=None, num_classes=classes, **_options(name))


def _options(name: str) -> dict[str, Any]:
    """What the builder is to be told for the network that the weights belong to."""
    if name in ("inception_v3", "googlenet"):
        return {"transform_input": True, "aux_logits": False, "init_weights": False}  # as it is with weights
    return {"image_size": _weights(name).meta["min_size"][0]} if name.startswith("vit_") else {}


@contextmanager
def _sizes_are_numbers() -> Iterator[None]:
    """RegNet computes its layers' sizes as tensors, which have no values on torch's meta device."""
    import torch
    from torchvision.models.regnet import BlockParams

    computed = BlockParams.from_init_params

    def on_processor(*args: Any, **kwargs: Any) -> BlockParams:
        with torch.device("cpu"):
            return computed(*args, **kwargs)

    with patch.object(BlockParams, "from_init_params", on_processor):
        yield


def _last_layer(module: "nn.Module") -> tuple[str, int]:
    """The name of the layer that makes classes, and the width of what it is fed."""
    from torch import nn

    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    name, last = layers[-1]
    return name, last.in_features if isinstance(last, nn.Linear) else last.in_channels


def _last_map(module: "nn.Module", images: "torch.Tensor") -> "torch.Tensor":
    """What the last stage of a ResNet says of each part of the images, (N, D, H / 32, W / 32)."""
    for stage in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        images = module.get_submodule(stage)(images)
    return images


def _vector(module: "nn.Module", images: "torch.Tensor") -> "torch.Tensor":
    """What the last layer was fed, (N, D)."""
    return module(images)


def _renamed(name: str, state: "State", _module: "nn.Module") -> "State":
    """The arrays under the names of today: a DenseNet's file has older ones, and an MNASNet wants to be told its version."""
    if name.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key): value for key, value in state.items()}
    if name.startswith("mnasnet"):
        state = OrderedDict(state)
        state._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]
    return state


KNOWN = {
    each.name: each
    for each in (
        known("resnet50", width=2048, classifier="fc", preprocessings=(WHOLE_IMAGE, CENTRE_CROP), tunable=True),
        known("vgg16", width=4096, classifier="classifier.6", preprocessings=(CENTRE_CROP,)),
        known("alexnet", width=4096, classifier="classifier.6", preprocessings=(CENTRE_CROP,)),
    )
}  # without torch being imported
