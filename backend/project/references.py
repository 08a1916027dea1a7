"""The whole image references of tasks, of which the index keeps those that hold a secret, or are too long, only in part."""

import threading
from collections.abc import Sequence
from typing import Protocol

from backend.index.index import Row, image_reference
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.labelling_config import Target
from model.embeddings.images import ImageError

TOGETHER = 50  # tasks asked for at once; a reference may be a whole image in a data: URI, which is asked for alone


class Asking(Protocol):
    """Who can ask Label Studio about a project, as a Session can."""

    project: int

    @property
    def label_studio(self) -> LabelStudio:
        """Label Studio."""

    @property
    def target(self) -> Target:
        """What the project's labelling config asks."""


class References:
    """The references of `rows`, asked for in their order. Safe to share between threads."""

    def __init__(self, asking: Asking, rows: Sequence[Row] = ()) -> None:
        self._asking = asking
        self._cut: list[Row] = []
        self._next = 0
        self._whole: dict[int, str | ImageError] = {}
        self._lock = threading.Lock()
        self.expect(rows)

    def expect(self, rows: Sequence[Row]) -> None:
        """The references of `rows` will be wanted too, after those so far."""
        with self._lock:
            self._cut += [row for row in rows if row.redacted]

    def of(self, row: Row) -> str:
        """The reference of `row`, from Label Studio where the index has not the whole of it: a signed link as it is now.

        Raises ImageError where the task is gone or has no image, LabelStudioError.
        """
        if not row.redacted:
            return row.reference
        with self._lock:
            if row.task not in self._whole:
                self._ask(row)
            reference = self._whole.pop(row.task)
        if isinstance(reference, ImageError):
            raise reference
        return reference

    def _ask(self, row: Row) -> None:
        """Ask for `row`, and for those that come next in the order."""
        wanted = [row]
        if not _inline(row):
            following = self._cut[self._next : self._next + TOGETHER]
            self._next += len(following)
            wanted += [other for other in following if other.task != row.task and not _inline(other)]
        data = self._asking.label_studio.task_data(self._asking.project, [other.task for other in wanted])
        for other in wanted:
            if other.task not in data:
                self._whole[other.task] = ImageError("the task is gone from Label Studio")
                continue
            reference, problem = image_reference(data[other.task], self._asking.target)
            self._whole[other.task] = ImageError(problem) if problem else reference


def _inline(row: Row) -> bool:
    return row.reference.startswith("data:")
