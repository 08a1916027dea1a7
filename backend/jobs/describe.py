"""What Label Studio says of our ML backend under Settings > Model: which version is live, and its F1."""

import logging

from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.wiring import Wiring
from backend.project.session import Session
from backend.status.figures import f1
from backend.status.values import version_values

log = logging.getLogger(__name__)


def describe(session: Session) -> None:
    """Bring the description of our ML backend up to the live version. It serves people alone: where Label Studio does not take
    it, that is logged, and tried again next time."""
    settings, state = session.settings, session.projects.read(session.project)
    if not state.connected or not state.live:
        return
    text = f"{state.live} is live. Macro F1: {f1(version_values(session.versions, state.live))}."
    if text == session.index.note("description"):
        return
    wiring = Wiring(session.label_studio, session.project, settings.backend_url, settings.credentials, state.made)
    try:
        wiring.describe_backend(text)
    except LabelStudioError as error:
        log.info("Project %s: the ML backend's description could not be renewed: %s", session.project, error)
    else:
        session.index.set_note("description", text)
