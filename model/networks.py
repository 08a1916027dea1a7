"""Which networks there are, by name: how each is built, what it makes of an image, and where its weights come from."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from model.preprocessing import CENTRE_CROP, WHOLE_IMAGE, Preprocessing
from model.weights_file import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

    State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Network:
    """A network for images, without weights. torch is imported only when one of its functions is called.

    width: dimensions D of its embeddings; weights: the library's name of its weights; classifier: the module of it that makes
    classes, which embeddings do without; preprocessings: its own first, then others that embeddings may have been made with.
    build: the module, on torch's meta device; features: what the module makes of float images (N, 3, H, W): (N, D, H', W') or
    (N, D); state: the library's weights, downloaded where need be.
    tunable: whether it is a ResNet of torchvision's, whose last stage can be retrained.
    """

    name: str
    width: int
    weights: str
    classifier: str
    preprocessings: tuple[Preprocessing, ...]
    build: "Callable[[], nn.Module]"
    features: "Callable[[nn.Module, torch.Tensor], torch.Tensor]"
    state: "Callable[[], State]"
    tunable: bool = False

    def preprocessing(self, name: str = "") -> Preprocessing:
        """The preprocessing `name`, by default its own. Raises WeightsError where it knows none of that name."""
        for preprocessing in self.preprocessings:
            if name in ("", preprocessing.name):
                return preprocessing
        known = ", ".join(each.name for each in self.preprocessings)
        raise WeightsError(f"{self.name} knows no preprocessing {name!r}; it knows {known}.")


def network(name: str) -> Network:
    """The network `name`. Raises WeightsError with the next step where there is none."""
    if name in _NETWORKS:
        return _NETWORKS[name]
    near = difflib.get_close_matches(name, _NETWORKS, 1)
    raise WeightsError(f"There is no network {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))


def _build_resnet50() -> "nn.Module":
    import torch
    from torchvision.models import resnet50

    with torch.device("meta"):
        return resnet50(weights=None)


def _last_map(module: "nn.Module", images: "torch.Tensor") -> "torch.Tensor":
    """What the last stage of a torchvision ResNet says of each part of the images, (N, D, H / 32, W / 32)."""
    for stage in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        images = module.get_submodule(stage)(images)
    return images


def _resnet50_state() -> "State":
    from torchvision.models import ResNet50_Weights

    return dict(ResNet50_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True))


_NETWORKS = {
    each.name: each
    for each in (
        Network(
            "resnet50",
            width=2048,
            weights="imagenet1k_v1",
            classifier="fc",
            preprocessings=(WHOLE_IMAGE, CENTRE_CROP),
            build=_build_resnet50,
            features=_last_map,
            state=_resnet50_state,
            tunable=True,
        ),
    )
}
