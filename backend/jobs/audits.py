"""Letting people answer accepted images whose turn has come: Label Studio serves no image that has an annotation.

So the accepted annotation of such an image goes, and its accepted prediction stays, by which the index knows it still.
"""

from collections.abc import Callable

from numpy import int64
from numpy.typing import NDArray

from backend.labelstudio.accepted import VERSION, accepted_mark
from backend.project.session import Session


def serve_audits(session: Session, tasks: NDArray[int64], check: Callable[[], None]) -> int:
    """Take the accepted annotations off those of `tasks` that have one; returns how many had."""
    accepted = {label.task: label for label in session.index.accepted.all() if label.annotated}
    due = [task for task in tasks.tolist() if task in accepted]
    for task in due:
        for annotation in session.label_studio.annotations(task):
            if not accepted_mark(annotation):
                continue
            check()
            if not accepted[task].predicted:
                kept = {"task": task, "result": annotation["result"], "score": 1.0, "model_version": VERSION}
                session.label_studio.import_predictions(session.project, [kept])
            session.label_studio.delete_annotation(annotation["id"])
    return len(due)
