"""Images of the pool that look like a given one, so that a rare class is found and labelled."""

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from backend.index.index import UNLABELLED
from backend.pages.kept import Kept, kept
from backend.pages.queue import AT_ONCE
from backend.pages.visit import Page, Visit
from backend.project.likeness import distances_to
from model.embeddings.images import ImageError

SHOWN = 48  # images, the most alike first
FILE_BYTES = 20_000_000  # of an image that somebody sends
NO_QUEUE = "There is no queue yet, so no image has an embedding to be compared with."
NOTHING_SENT = "No image was sent: choose a file, a JPEG or PNG for example, and send it again."


def _find(visit: Visit) -> Response:
    asked = visit.request.query_params.get("task")
    if asked is None:
        return visit.page("find.html", task=None, asked=False, alike=None, unlabelled=0)
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):
        return visit.page("trouble.html", 400, text="Choose an image of the queue by its 'More like this'.")
    task = int(asked)
    with kept(visit) as known:
        row = known.index.row(task) if known else None
        if not known or not row:
            return visit.page("trouble.html", 404, text=f"This project has no task {task}, or no queue yet.")
        values, found = known.store.get([row.key])
        if not found[0]:
            text = f"The image of task {task} has no embedding yet, so nothing is known of what it looks like."
            return visit.page("trouble.html", 404, text=text)
        alike, unlabelled = most_alike(known, values.astype(np.float32), task)
    return visit.page("find.html", task=task, asked=row.state == UNLABELLED, alike=alike, unlabelled=unlabelled)


def _find_sent(visit: Visit) -> Response:
    """As for an image of the project; what was sent is kept nowhere."""
    if not visit.file:
        return visit.page("trouble.html", 400, text=NOTHING_SENT)
    from backend.project.embedding import embedding_of  # brings torch
    from model.networks.weights_file import WeightsError

    with kept(visit) as known:
        if not known:
            return visit.page("trouble.html", 404, text=NO_QUEUE)
        try:
            vector = embedding_of(visit.house.settings, visit.project or 0, known.live.backbone, visit.file)
        except ImageError as error:
            return visit.page("trouble.html", 400, text=f"This image cannot be used: {error}.")
        except WeightsError as error:
            return visit.page("trouble.html", 503, text=str(error))
        alike, unlabelled = most_alike(known, vector[None])
    return visit.page("find.html", task=None, asked=False, alike=alike, unlabelled=unlabelled)


def most_alike(known: Kept, vector: NDArray[np.float32], but: int = -1) -> tuple[list[int], int]:
    """The SHOWN tasks of the pool whose images are nearest to `vector`, float32 (1, D), without the task `but`; and how many
    there are in the pool."""
    tasks, keys = known.index.tasks.pool()
    distances = distances_to(known.store, keys, vector)[:, 0]
    order = np.argsort(distances, kind="stable")
    alike = tasks[order[np.isfinite(distances[order]) & (tasks[order] != but)][:SHOWN]]
    return alike.tolist(), len(tasks)


PAGES = (
    Page("/find", _find, at_once=AT_ONCE),
    Page("/find", _find_sent, "POST", at_once=1, file_bytes=FILE_BYTES),
)
