"""How good a project's model has become, when to stop labelling, and which images it still gets wrong."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from starlette.responses import Response

from backend.index.index import Index
from backend.index.index_file import IndexUnavailable
from backend.labelstudio.several import names_of
from backend.pages import curve
from backend.pages.confusion import CLASSES, Confusion
from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from backend.records.history import History, summary
from backend.records.kept import versions_of
from backend.status.figures import HARDLY, UNSURE, WORTH_IT, accuracy, f1, outlook
from backend.status.stopping import stopping_text
from backend.status.values import status
from model.storage.documents_in_bucket import Haste
from model.version_store import VersionError

T = TypeVar("T")
MOST = 100  # images of a cell that one page shows
ADVICE = {
    WORTH_IT: "Go on labelling: more labels still make it better.",
    UNSURE: "Whether more labels help cannot be told for sure: go on while they cost little.",
    HARDLY: "This is a time to stop: more labels hardly make it better.",
    "": "When to stop cannot be told yet.",
}


def _progress(visit: Visit) -> Response:
    project = visit.project or 0
    kept = versions_of(visit.house.projects, project)
    state = visit.house.projects.read(project)
    try:
        about = kept.about(state.live)
    except VersionError:
        return visit.page("progress.html", confusion=None)
    confusion, asked = Confusion(about), visit.request.query_params
    if "truth" in asked or "guess" in asked:
        return _images(visit, confusion, asked.get("truth", ""), asked.get("guess", ""))
    live, versions = summary(about), [entry.model_dump() for entry in History(visit.documents, kept).entries()]
    more = outlook(live)
    labels: Counter[str] = Counter()
    for label, count in _known(visit, lambda index: index.tasks.label_counts()):
        labels.update(dict.fromkeys(names_of(label) if confusion.several else [label], count))
    return visit.page(
        "progress.html",
        confusion=confusion,
        matrix=confusion.matrix(),
        most_classes=CLASSES,
        classes=[(*known, labels[known[0]]) for known in confusion.by_class()],
        f1=f1(live),
        accuracy=accuracy(live),
        more=more,
        advice=ADVICE[more.verdict],
        stopping=_stopping(visit),
        curve=curve.draw(versions, live),
        edges=curve,
        expected=curve.expected(live),
        versions=[
            (entry["labels"], entry["name"], datetime.fromtimestamp(entry["created"]).isoformat(" ", "minutes"), f1(entry))
            for entry in curve.by_labels(versions)
        ],
    )


def _stopping(visit: Visit) -> str:
    """All that there is to decide by, without asking Label Studio; "" where the index cannot be read."""
    (p,) = status(visit.house.settings, visit.house.work, only={visit.project or 0}, compared=False, haste=Haste.SERVING)[
        "projects"
    ]
    return stopping_text(p) if "people" in p else ""


def _images(visit: Visit, confusion: Confusion, truth: str, guess: str) -> Response:
    """The images of one cell of the confusion matrix, as far as they are still in the project."""
    if not {truth, guess} <= set(confusion.classes):
        return visit.page("trouble.html", 404, text="The classes of this project are not those of this address.")
    tasks = confusion.images(truth, guess)
    there = set(_known(visit, lambda index: list(index.tasks.known(tasks))))
    tasks = [task for task in tasks if task in there]
    return visit.page("confused.html", truth=truth, guess=guess, tasks=tasks[:MOST], count=len(tasks), known=confusion.known)


def _known(visit: Visit, read: Callable[[Index], list[T]]) -> list[T]:
    """What `read` finds in the project's index; nothing where that cannot be read."""
    try:
        with known_index(visit.house.projects, visit.project or 0) as index:
            return read(index) if index else []
    except IndexUnavailable:
        return []


PAGES = (Page("/progress", _progress),)
