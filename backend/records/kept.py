"""What was learned of a project, for those who only look at it."""

from backend.records.state import Projects
from model.backbone_files import BackboneFiles
from model.backbone_note import BackboneNote
from model.backbone_store import BackboneStore
from model.networks.backbone import BackboneSpec
from model.version_store import VersionStore


def versions_of(projects: Projects, project: int, mark: str = "") -> VersionStore:
    """The versions of `project`. mark: see VersionStore."""
    mirror = projects.mirror(project)
    return VersionStore(projects.folder(project) / "versions", mark, mirror and mirror.within("versions"))


def note_of(projects: Projects, project: int, backbone: str) -> BackboneNote:
    """From what embeddings of `backbone` were made; where nothing is noted, what held before notes were written."""
    return BackboneFiles(projects.folder(project), projects.mirror(project)).note(backbone) or BackboneNote()


def keep_weights(projects: Projects, project: int, base: BackboneSpec) -> bool:
    """Put the file of weights of `base` where the machines that share STORE find it for `project`; returns whether there is
    such a file, and a STORE. Raises WeightsError where the file is none."""
    mirror = projects.mirror(project)
    if not mirror or not base.weights:
        return False
    store = BackboneStore(projects.folder(project), base, mirror=mirror)
    store.keep(store.wanted_name)
    return True
