"""What is known of a network before it has weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.networks.preprocessing import Preprocessing
from model.networks.weights_file import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import nn

    State = dict[str, torch.Tensor]


def unchanged(state: "State", _module: "nn.Module") -> "State":
    """The arrays of a file under the names that they have in it."""
    return state


@dataclass(frozen=True)
class Network:
    """A network for images, without weights. torch is imported only when one of its functions is called.

    width: dimensions D of its embeddings; weights: the library's name of its weights; preprocessings: its own first, then
    others that embeddings may have been made with; build: the module without its classifier, to be filled with weights;
    features: what the module makes of float images (N, 3, H, W): (N, D, H', W') or (N, D); state: the library's weights,
    downloaded where need be, which raises OSError; whole: the module with a classifier of so many classes, for the shapes of
    its arrays alone; options: what the library takes to build that, beside its name and the number of classes; classifiers:
    names of its last layers, which make classes; unneeded: names of modules whose weights embeddings do without, these
    included; renamed: the arrays of a file, each under the name that the module has for it; tunable: whether it is a ResNet
    of torchvision's, whose last stage can be retrained.
    """

    name: str
    width: int
    weights: str
    preprocessings: tuple[Preprocessing, ...]
    build: "Callable[[], nn.Module]"
    features: "Callable[[nn.Module, torch.Tensor], torch.Tensor]"
    state: "Callable[[], State]"
    whole: "Callable[[int], nn.Module]"
    unneeded: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ()
    options: "Callable[[], dict[str, Any]]" = dict
    renamed: "Callable[[State, nn.Module], State]" = unchanged
    tunable: bool = False

    def preprocessing(self, name: str = "") -> Preprocessing:
        """The preprocessing `name`, by default its own. Raises WeightsError where it knows none of that name."""
        for preprocessing in self.preprocessings:
            if name in ("", preprocessing.name):
                return preprocessing
        known = ", ".join(each.name for each in self.preprocessings)
        raise WeightsError(f"{self.name} knows no preprocessing {name!r}; it knows {known}.")
