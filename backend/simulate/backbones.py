"""Which backbones a simulation embeds its images with: those that would ship, and the standard they are held against."""

from dataclasses import replace
from pathlib import Path

from backend.project.state import Projects
from backend.project.wanted import wanted_base
from backend.settings import Settings
from model.backbone import BackboneSpec
from model.networks import network


def spec_of(text: str, weights: Path | None, settings: Settings) -> BackboneSpec:
    """The backbone that people name as `text`, "NAME" or "NAME=FILE", as a new project would have it.

    weights: a file to take instead. Raises WeightsError where there is no such network.
    """
    spec = wanted_base(settings, text, Projects(settings.data_dir))
    return replace(spec, weights=weights) if weights else spec


def standard_of(spec: BackboneSpec) -> BackboneSpec:
    """The same network on images prepared as its library does it, which for most networks is what `spec` has already."""
    return replace(spec, preprocessing=network(spec.network).preprocessings[-1].name)
