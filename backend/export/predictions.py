"""predictions.csv: what a version thinks of every image that nobody has labelled."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.export.tables import names_in, write_table
from backend.index.index import LABELLED, Row
from backend.index.tasks import STATES, TaskArrays
from backend.labelstudio.client import LabelStudioError
from backend.project.embedding import embed_parts
from backend.project.session import Session
from backend.queue.claims import EMBEDDING
from model.measuring.set_metrics import predicted_sets
from model.networks.weights_file import WeightsError
from model.version_store import Version

DECIMALS = 6
PART = 4096  # tasks that are in memory at once


def embed_missing(session: Session) -> str:
    """Embed images that have no label and no embedding; returns why that ended early, "" where it did not."""
    every, barred = session.index.tasks.arrays(), session.index.tasks.barred()
    session.store.refresh()
    missing = ~every.are(LABELLED) & ~session.store.has(every.keys) & ~np.isin(every.tasks, list(barred))
    tasks = every.tasks[missing]

    def with_images() -> Iterator[list[Row]]:
        return ([row for row in rows if row.reference] for rows in session.index.parts_of(tasks, PART))

    try:
        if any(with_images()):
            embed_parts(session, with_images(), float("inf"), lambda done: session.progress(EMBEDDING, done, len(tasks)))
    except (LabelStudioError, WeightsError) as error:
        return str(error)
    return ""


def write_predictions(folder: Path, every: TaskArrays, session: Session, version: Version) -> tuple[int, int]:
    """Write the probabilities of all tasks without a label; returns how many have some, and how many have none since their
    image could not be read. Those stand there with the reason."""
    head, unlabelled = version.head, ~every.are(LABELLED)
    assert head  # noqa: S101
    tasks, states = every.tasks[unlabelled], every.states[unlabelled]
    header = ["task", "image", "state", "prediction", *(f"p({name})" for name in version.classes), "remark"]
    counts = Counter[bool]()

    def lines() -> Iterator[list[str | int | float]]:
        for rows in session.index.parts_of(tasks, PART):
            embeddings, found = session.store.get([row.key for row in rows])
            counts.update(found.tolist())
            probabilities = head.probabilities(embeddings)
            for row, has, values in zip(rows, found, probabilities, strict=True):
                yield line(row, values if has else None)
            session.progress("writing predictions", counts.total(), len(tasks))

    def line(row: Row, values: NDArray[np.floating] | None) -> list[str | int | float]:
        start: list[str | int | float] = [row.task, row.reference, STATES[states[np.searchsorted(tasks, row.task)]]]
        if values is None:
            return [*start, "", *[""] * len(version.classes), row.error or "it is not embedded yet"]
        best = names_in(predicted_sets(values), version.classes) if version.several else version.classes[int(values.argmax())]
        return [*start, best, *(round(float(value), DECIMALS) for value in values), ""]

    write_table(folder / "predictions.csv", header, lines())
    return counts[True], counts[False]
