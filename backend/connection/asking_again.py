"""Putting tasks back that were answered with nothing: their empty annotations are deleted, a copy of each being kept first.

Only the deletion of an annotation makes Label Studio serve its task again. An empty answer may be meant, so this happens on
demand alone, and never to ground truth, to imported annotations, or to ones that answer another control.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backend.index.consensus import annotations_of
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.target import ELSEWHERE, EMPTY
from backend.project.session import Session
from model.storage.documents import Documents

SPARED = "ground truth, or imported"
OTHERWISE = "another control is answered"
CHANGED = "answered meanwhile"


@dataclass
class AskedAgain:
    """tasks: how many are served again, or would be; left: why others are not, with their number; place: where copies are."""

    place: str
    tasks: int = 0
    left: Counter[str] = field(default_factory=Counter)


def ask_again(session: Session, progress: Callable[[int, int], None], dry_run: bool = False) -> AskedAgain:
    """Put back every task of which all that was answered is empty. Safe to repeat, and to be cut short at any point.

    Raises LabelStudioError where Label Studio is out of order; what it refuses of one task costs that task alone.
    """
    session.sync()
    copies = session.documents.within("asked-again")
    outcome = AskedAgain(copies.place())
    tasks = sorted(session.index.troubled(EMPTY) + session.index.troubled(ELSEWHERE))
    for done, task in enumerate(tasks):
        progress(done, len(tasks))
        try:
            annotations = annotations_of(session.label_studio.annotations(task))
            given = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
            if reason := _why_left(given, session.target.from_name):
                outcome.left[reason] += 1
                continue
            for annotation in [] if dry_run else given:
                _delete(session, copies, task, annotation)
        except LabelStudioError as error:
            if not 400 <= error.status < 500 or error.status in (401, 429):
                raise
            outcome.left[str(error)] += 1
        else:
            outcome.tasks += 1
    progress(len(tasks), len(tasks))
    return outcome


def _why_left(given: list[dict[str, Any]], from_name: str) -> str:
    """Why a task with the answers `given` is left alone; "" where it is to be put back."""
    results = [annotation.get("result") or [] for annotation in given]
    items = [item for result in results for item in (result if isinstance(result, list) else [result])]
    if any(isinstance(item, dict) and item.get("from_name") == from_name for item in items) or not given:
        return CHANGED
    if items:
        return OTHERWISE
    if any(annotation.get("ground_truth") or annotation.get("import_id") is not None for annotation in given):
        return SPARED
    return ""


def _delete(session: Session, copies: Documents, task: int, annotation: dict[str, Any]) -> None:
    """Keep a copy, then delete."""
    copy = {"task": task, "deleted": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "annotation": annotation}
    copies.write_json(f"annotation-{int(annotation['id'])}.json", copy)
    session.label_studio.delete_annotation(annotation["id"])
