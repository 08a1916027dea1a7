"""Which backbones a simulation embeds its images with: those that would ship, and the standard they are held against."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backend.project.state import Projects
from backend.project.wanted import wanted_base
from backend.settings import Settings
from model.backbone import BackboneSpec
from model.networks import network


def specs_of(texts: Sequence[str], weights: Path | None, settings: Settings) -> dict[str, BackboneSpec]:
    """The backbones that people name as `texts`, each "NAME" or "NAME=FILE", as a new project would have them. Keys are names
    of networks, and the whole text where two are of the same network.

    weights: a file to take instead. Raises WeightsError where there is no such network.
    """
    projects, networks = Projects(settings.data_dir), [text.partition("=")[0] for text in texts]
    specs = {}
    for text, name in zip(texts, networks, strict=True):
        spec = wanted_base(settings, text, projects)
        specs[name if networks.count(name) == 1 else text] = replace(spec, weights=weights) if weights else spec
    return specs


def standard_of(spec: BackboneSpec) -> BackboneSpec:
    """The same network on images prepared as its library does it, which for most networks is what `spec` has already."""
    return replace(spec, preprocessing=network(spec.network).preprocessings[-1].name)
