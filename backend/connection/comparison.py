"""A project as Label Studio has it now, compared with what is known here: for people who look, so it must be quick."""

import time
from dataclasses import dataclass
from typing import Any

from backend.connection.differences import differences
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.wiring import Wiring
from backend.network.transport import request_within
from backend.records.state import ProjectState
from backend.settings import Settings

SECONDS = 5.0  # in which Label Studio must answer all that is asked about a project
THERE, GONE, UNREACHABLE = "there", "gone", "unreachable"


@dataclass(frozen=True)
class Standing:
    """How a project stands in Label Studio. state: THERE; GONE, where Label Studio answers and does not know the project; or
    UNREACHABLE, with the `trouble`. title and tasks: the project's, where it is there; differs: a sentence for each thing that
    is not as it was made."""

    state: str
    trouble: str = ""
    title: str = ""
    tasks: int = 0
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known here of a project. tasks: how many; published: those published under the live version, with places."""

    state: ProjectState
    tasks: int
    published: dict[int, float]


class Comparer:
    """Asks Label Studio about one project after the other; once it does not answer, it is not asked any more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trouble = ""
        try:
            self._label_studio = LabelStudio(settings, tries=1)
        except LabelStudioError as error:
            self._trouble = str(error)

    def compare(self, project: int, known: Known) -> Standing:
        """The project as Label Studio has it. Raises nothing: what goes wrong is its `trouble`."""
        if self._trouble:
            return Standing(UNREACHABLE, self._trouble)
        with request_within(time.monotonic() + SECONDS):
            return self._compare(project, known)

    def _compare(self, project: int, known: Known) -> Standing:
        try:
            info = self._label_studio.project(project)
            return Standing(THERE, "", str(info["title"]), int(info["task_number"]), self._differs(project, info, known))
        except LabelStudioError as error:
            if error.status == 404 and self._label_studio.answers():
                return Standing(GONE)
            if error.status in (403, 404):
                return Standing(UNREACHABLE, str(error))  # others may be there
            self._trouble = str(error)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self._trouble = f"{self._settings.label_studio_url} answers otherwise than Label Studio ({error!r})."
        return Standing(UNREACHABLE, self._trouble)

    def _differs(self, project: int, info: dict[str, Any], known: Known) -> tuple[str, ...]:
        if not known.state.connected:
            return ()
        s = self._settings
        wiring = Wiring(self._label_studio, project, s.backend_url, s.credentials, known.state.made)
        counts = self._label_studio.prediction_counts(project)
        found = [entry.text for entry in differences(wiring, known.state, info, counts, known.published)]
        if info["task_number"] != known.tasks:
            found.append(
                f"Label Studio has {info['task_number']} tasks, {known.tasks} are known here: the next reconcile takes them in"
            )
        return tuple(found)
