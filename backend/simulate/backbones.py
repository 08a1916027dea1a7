"""Which backbones a simulation embeds its images with: those that would ship, and the standard they are held against."""

from dataclasses import replace
from pathlib import Path

from backend.settings import Settings
from backend.simulate.protocol import BACKBONE
from model.arithmetic import fastest
from model.backbone import BackboneSpec
from model.networks import network


def spec_of(text: str, weights: Path | None, settings: Settings) -> BackboneSpec:
    """The backbone that people name as `text`, "NAME" or "NAME=FILE", as a new project would have it.

    weights: its file, by default MODEL_WEIGHTS where that is the same network's. Raises WeightsError where there is no such
    network.
    """
    same = text.partition("=")[0] == BACKBONE
    return BackboneSpec.of(text, weights or (settings.model_weights if same else None), fastest())


def standard_of(spec: BackboneSpec) -> BackboneSpec:
    """The same network on images prepared as its library does it, which for some networks is what `spec` has already."""
    return replace(spec, preprocessing=network(spec.network).preprocessings[-1].name)
