"""Which base backbone a project is to have, and in which arithmetic, as settings and `connect` say."""

from backend.project.state import Projects
from backend.settings import Settings, SettingsError
from model.backbone import BackboneSpec, backbone_name
from model.networks import network
from model.weights_file import check_weights


def wanted_base(settings: Settings, wish: str, projects: Projects) -> BackboneSpec:
    """The base that a project with the wish `wish` ("NAME", "NAME=FILE", or "" for the setting BACKBONE) is to have.

    MODEL_WEIGHTS stands for the weights of the network that BACKBONE names, and of no other. Raises WeightsError where there is
    no such network.
    """
    name, default = ((text or settings.backbone).partition("=")[0] for text in (wish, settings.backbone))
    weights = settings.model_weights if name == default else None
    return BackboneSpec.of(wish or settings.backbone, weights, projects.arithmetic())


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
