"""A task's image as a small picture, for those who may see its project."""

import logging

from starlette.responses import Response

from backend.index.index import Row
from backend.index.index_file import IndexUnavailable
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.pages.thumbnails import LONGEST
from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from model.embeddings.images import ImageError

log = logging.getLogger(__name__)
AT_ONCE = 4  # pictures being made: each holds a whole image in memory for a moment
KEPT = "private, no-cache"  # by the browser of this person alone, which asks each time whether it may still show it
GREY = "#8a929c"  # on light and on dark pages
PLACEHOLDER = f"""<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240" viewBox="0 0 320 240">
<rect x="1" y="1" width="318" height="238" fill="none" stroke="{GREY}" stroke-dasharray="6"/>
<text x="160" y="126" fill="{GREY}" font-family="sans-serif" font-size="20" text-anchor="middle">no picture</text>
</svg>"""


def _image(visit: Visit) -> Response:
    row = _row(visit)
    if not row:
        return _placeholder(404)
    headers = {"Cache-Control": KEPT, "ETag": f'"{row.key:x}-{LONGEST}"'}
    if headers["ETag"] in visit.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    project = visit.project or 0
    try:
        jpeg = visit.house.thumbnails.make(project, visit.house.projects.read(project).control, row)
    except ImageError as error:
        log.info("Project %s, task %s has no thumbnail: %s", project, row.task, error)
        return _placeholder(502 if error.again_in else 404)
    except (LabelStudioError, LabelConfigError) as error:  # of the backend's own token: no matter of who looks
        log.info("Project %s, task %s has no thumbnail: %s", project, row.task, error)
        return _placeholder(502)
    return Response(jpeg, media_type="image/jpeg", headers=headers)


def _row(visit: Visit) -> Row | None:
    """The task that is asked for, None where this project has no such task."""
    task = visit.request.path_params["task"]
    if task >= 2**63:  # beyond, no database has it
        return None
    try:
        with known_index(visit.house.projects, visit.project or 0) as index:
            return index.row(task) if index else None
    except IndexUnavailable:
        return None


def _placeholder(status: int) -> Response:
    return Response(PLACEHOLDER, status, media_type="image/svg+xml")


PAGES = (Page("/images/{task:int}", _image, at_once=AT_ONCE),)
