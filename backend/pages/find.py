"""Images of the pool that look like a given one, so that a rare class is found and labelled."""

import numpy as np
from starlette.responses import Response

from backend.pages.kept import kept
from backend.pages.queue import AT_ONCE
from backend.pages.visit import Page, Visit
from backend.project.index import UNLABELLED
from backend.project.likeness import distances_to

SHOWN = 48  # images, the most alike first


def _find(visit: Visit) -> Response:
    asked = visit.request.query_params.get("task", "")
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
        tasks, keys = known.index.pool()
        distances = distances_to(known.store, keys, values.astype(np.float32))[:, 0]
    order = np.argsort(distances, kind="stable")
    alike = tasks[order[np.isfinite(distances[order]) & (tasks[order] != task)][:SHOWN]]
    return visit.page("find.html", task=task, asked=row.state == UNLABELLED, alike=alike.tolist(), unlabelled=len(tasks))


PAGES = (Page("/find", _find, at_once=AT_ONCE),)
