"""Which base backbone a project is to have, and in which arithmetic, as settings and `connect` say."""

from backend.project.state import Projects
from backend.settings import Settings
from model.backbone import BackboneSpec


def wanted_base(settings: Settings, wish: str, projects: Projects) -> BackboneSpec:
    """The base that a project with the wish `wish` ("NAME", "NAME=FILE", or "" for the setting BACKBONE) is to have.

    MODEL_WEIGHTS stands for the weights of the network that BACKBONE names, and of no other. Raises WeightsError where there is
    no such network.
    """
    name, default = ((text or settings.backbone).partition("=")[0] for text in (wish, settings.backbone))
    weights = settings.model_weights if name == default else None
    return BackboneSpec.of(wish or settings.backbone, weights, projects.arithmetic())
