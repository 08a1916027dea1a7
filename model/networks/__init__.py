"""Which networks there are, by name: how each is built, what it makes of an image, and where its weights come from."""

import difflib
from functools import cache

from model.networks import of_timm, of_torchvision
from model.networks.network import Network
from model.networks.weights_file import WeightsError

__all__ = ["Network", "network"]


@cache
def network(name: str) -> Network:
    """The network `name`: a classifier of torchvision's, or a network of timm's as "timm:NAME".

    Raises WeightsError with the next step where there is none. torch is imported for other names than "resnet50", "vgg16" and
    "alexnet".
    """
    if name in of_torchvision.KNOWN:
        return of_torchvision.KNOWN[name]
    if name.startswith(of_timm.PREFIX):
        return of_timm.find(name)
    if name in of_torchvision.names():
        return of_torchvision.find(name)
    if name in of_torchvision.others():
        raise WeightsError(f"torchvision's {name} is no classifier of images, so embeddings cannot be had of it: {_near(name)}")
    raise WeightsError(f"There is no network {name!r}: {_near(name)}")


def _near(name: str) -> str:
    """What to take instead of `name`."""
    known = [*of_torchvision.names(), *of_timm.names()]
    exact = of_timm.PREFIX + name
    near = [exact] if exact in known else difflib.get_close_matches(name, known, 3, 0.7)
    return f"did you mean {' or '.join(near)}?" if near else "take one of torchvision's, such as resnet50, or timm:NAME."
