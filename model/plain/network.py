"""A backbone and the head on it, folded into the network of torchvision's or timm's that it was made from.

The state dict has the library's own names; its classifier holds the head's weights, divided by its temperature. What the
library's forward does not do stands beside it as values, which `predict.py` follows: how an image becomes pixels, how the cells
of a ResNet are pooled, that the classifier is fed a vector of length 1, and which classes nobody has labelled yet.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.special import logit
from torchvision.models import ResNet

from model.heads.head import Head, IndependentHead
from model.networks import Network, network
from model.networks.backbone import BackboneSpec
from model.networks.of_timm import PREFIX
from model.networks.preprocessing import REDUCING_GAP, THINNEST, Preprocessing, ResizeAndCrop, WholeImage
from model.networks.state_dict import State
from model.networks.torch_backbone import Embedder
from model.networks.weights_file import WeightsError
from model.plain.predict import Classifier

NEVER = -10_000.0  # logit of a class that nobody has labelled: its softmax is 0, in float16 too
CLOSE = 1e-3  # difference of two probabilities that the order of additions explains
REFUSED = "{} cannot be written as a network of its library's"
NOISE = 2  # images that both forms of a network are tried on


@dataclass(frozen=True)
class Plain:
    """about: what `predict.py` reads from model.json; state: the state dict, float32; classifier: the network made of both."""

    about: dict[str, Any]
    state: State
    classifier: Classifier


def plain(spec: BackboneSpec, head: Head, classes: list[str]) -> Plain:
    """The network of `spec` with `head` as its classifier. Raises WeightsError where weights cannot be had, or where its
    library's network, fed the same, would not give the same."""
    known, embedder = network(spec.network), Embedder(spec)
    about = _about(spec, known, head, classes) | {"stride_in_1x1": _caffe_blocks(embedder.module)}
    state = {key: value.contiguous() for key, value in embedder.module.state_dict().items()} | _folded(known, head)
    try:
        classifier = Classifier(about, state).eval()
        difference = _difference(classifier, embedder, head, spec)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise WeightsError(f"{REFUSED.format(spec.network)}: {error}") from error
    if not difference < CLOSE:
        raise WeightsError(f"{REFUSED.format(spec.network)}: its probabilities would differ by {difference:.2g}.")
    return Plain(about, state, classifier)


def _about(spec: BackboneSpec, known: Network, head: Head, classes: list[str]) -> dict[str, Any]:
    n, of_timm = int(head.counts.sum()), spec.network.startswith(PREFIX)
    return {
        "library": "timm" if of_timm else "torchvision",
        "network": spec.network.removeprefix(PREFIX),
        "options": {"num_classes": len(classes)} | known.options(),
        "classifiers": list(known.classifiers),
        "pooling": "whole and middle" if known.tunable else "the library's",
        "preprocessing": values_of(known.preprocessing(spec.preprocessing)),
        "classes": classes,
        "independent": head.independent,
        "unseen": [0.0 if count or head.independent else 1 / (n + len(classes)) for count in head.counts.tolist()],
    }


def values_of(preprocessing: Preprocessing) -> dict[str, Any]:
    """What is done to an image, as the values that `predict.py` reads.

    resize: of the shorter side, or [width, height]; step: what sides are a multiple of; longest: how many times as long as the
    shorter side the longer one may be before its ends are left out; crop: [height, width] of the middle, None for all.
    """
    values: dict[str, Any] = {"mean": list(preprocessing.mean), "std": list(preprocessing.std)}
    values |= {"name": preprocessing.name, "least_side": preprocessing.least_side}
    if isinstance(preprocessing, WholeImage):
        whole = {"resize": preprocessing.shorter, "step": preprocessing.step, "longest": preprocessing.longest, "crop": None}
        return values | whole | {"interpolation": "bilinear", "reducing_gap": REDUCING_GAP}
    if not isinstance(preprocessing, ResizeAndCrop):
        raise WeightsError(f"The preprocessing {preprocessing.name} cannot be written down for others.")
    by_ratio = isinstance(preprocessing.resize, int)
    how: dict[str, Any] = {"resize": preprocessing.resize, "step": 1, "longest": THINNEST if by_ratio else None}
    return (
        values
        | how
        | {
            "crop": list(preprocessing.crop[::-1]),
            "interpolation": preprocessing.interpolation.name.lower(),
            "reducing_gap": None,
        }
    )


def _caffe_blocks(module: Any) -> list[str]:
    """The blocks of a ResNet whose stride sits in their first convolution, of 1 x 1, where torchvision has it in the second."""
    names = [f"layer{number}.0" for number in (2, 3, 4)] if isinstance(module, ResNet) else []
    convolutions = {name: module.get_submodule(name).conv1 for name in names}
    return [name for name, first in convolutions.items() if first.kernel_size == (1, 1) and first.stride == (2, 2)]


def _folded(known: Network, head: Head) -> State:
    """The head as the classifier of the library's network: weights and biases divided by the temperature."""
    seen = head.learned
    weights = np.where(seen[:, None], head.weights / head.temperature, 0).astype(np.float32)
    unseen = logit(head.constant) if isinstance(head, IndependentHead) else NEVER
    biases = np.where(seen, head.bias / head.temperature, unseen).astype(np.float32)
    wanted = known.whole(len(seen)).state_dict()
    state = {f"{name}.bias": torch.from_numpy(biases) for name in known.classifiers}
    for name in known.classifiers:
        key = f"{name}.weight"
        if key not in wanted or wanted[key].numel() != weights.size:
            raise WeightsError(f"{REFUSED.format(known.name)}: its classifier is of another kind.")
        state[key] = torch.from_numpy(weights).reshape(wanted[key].shape)
    return state


def _difference(classifier: Classifier, embedder: Embedder, head: Head, spec: BackboneSpec) -> float:
    """By how much the probabilities of images of noise differ at most, both computed in float32."""
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 255, (300, 400, 3), dtype=np.uint8)) for _ in range(NOISE)]
    preprocessing = network(spec.network).preprocessing(spec.preprocessing)
    images = torch.from_numpy(np.stack([preprocessing.prepare(image) for image in noise]))
    with torch.inference_mode():
        expected = head.probabilities(embedder(images).numpy())
        return float(np.abs(classifier(images).numpy() - expected).max())
