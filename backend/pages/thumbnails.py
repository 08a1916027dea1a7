"""Small pictures of tasks' images, fetched as the backend itself fetches them for embedding."""

import io
from dataclasses import dataclass
from functools import cached_property

from backend.index.index import Row
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from backend.labelstudio.labelling_config import Target, parse_label_config
from backend.project.references import References
from backend.settings import Settings
from model.embeddings.images import read

LONGEST = 320  # pixels of a thumbnail's longer side
QUALITY = 80  # of its JPEG
TRIES = 1  # of requests to Label Studio: a person waits for the picture


@dataclass
class _Asking:
    """What it takes to ask for a task's whole reference."""

    label_studio: LabelStudio
    project: int
    target: Target


class Thumbnails:
    """Makes thumbnails. Safe to share between threads; connections are opened with the first picture."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _label_studio(self) -> LabelStudio:
        return LabelStudio(self._settings, TRIES)

    @cached_property
    def _images(self) -> ImageSource:
        return ImageSource(self._settings, self._label_studio)

    def make(self, project: int, control: str, row: Row) -> bytes:
        """A JPEG of the image of `row`, its longer side at most LONGEST, turned upright.

        control: which one of the labelling config is learned. Raises ImageError, LabelStudioError, LabelConfigError.
        """
        content = self._images.fetch(row.task, self._reference(project, control, row))
        image = read(content, self._settings.max_image_pixels, LONGEST).image
        image.thumbnail((LONGEST, LONGEST))
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=QUALITY)
        return jpeg.getvalue()

    def _reference(self, project: int, control: str, row: Row) -> str:
        if not row.redacted:
            return row.reference
        target = parse_label_config(self._label_studio.project(project)["label_config"], control)
        return References(_Asking(self._label_studio, project, target), [row]).of(row)
