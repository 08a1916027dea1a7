"""Which base backbone a project is to have, as settings and `connect` say; and those that people name to compare."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backend.settings import Settings, SettingsError
from model.networks import network
from model.networks.backbone import BackboneSpec, backbone_name
from model.networks.weights_file import check_weights


def wanted_base(settings: Settings, wish: str, arithmetic: str) -> BackboneSpec:
    """The base that a project with the wish `wish` ("NAME", "NAME=FILE", or "" for the setting BACKBONE) is to have, in
    `arithmetic`.

    MODEL_WEIGHTS stands for the weights of the network that BACKBONE names, and of no other. Raises WeightsError where there is
    no such network.
    """
    name, default = ((text or settings.backbone).partition("=")[0] for text in (wish, settings.backbone))
    weights = settings.model_weights if name == default else None
    return BackboneSpec.of(wish or settings.backbone, weights, arithmetic)


def wanted_bases(
    settings: Settings, wishes: Sequence[str], arithmetic: str, weights: Path | None = None
) -> dict[str, BackboneSpec]:
    """The bases that new projects with these wishes would have. Keys are names of networks, and the whole wish where two are of
    the same network.

    weights: a file to take instead. Raises WeightsError where there is no such network.
    """
    networks = [wish.partition("=")[0] for wish in wishes]
    bases = {}
    for wish, name in zip(wishes, networks, strict=True):
        base = wanted_base(settings, wish, arithmetic)
        bases[name if networks.count(name) == 1 else wish] = replace(base, weights=weights) if weights else base
    return bases


def check_settings(settings: Settings) -> None:
    """That there is a network BACKBONE, that its file of weights is one, and that it can be retrained where FINETUNE says so.
    Nothing is downloaded. Raises WeightsError, SettingsError."""
    spec = BackboneSpec.of(settings.backbone, settings.model_weights, "float32")
    if spec.weights:
        check_weights(spec.weights, spec.network)
    backbone_name(spec)
    if settings.finetune != "off" and not network(spec.network).tunable:
        raise SettingsError(
            f"FINETUNE={settings.finetune}, but BACKBONE={settings.backbone} cannot be retrained on labels: set FINETUNE to "
            "off, or BACKBONE to a ResNet."
        )
