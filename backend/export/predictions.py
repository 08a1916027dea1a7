"""predictions.csv: what a version thinks of every image that nobody has labelled."""

from collections.abc import Sequence
from pathlib import Path

from backend.export.tables import names_in, write_table
from backend.index.index import LABELLED, Row
from backend.labelstudio.client import LabelStudioError
from backend.project.embedding import embed
from backend.project.session import Session
from model.measuring.set_metrics import predicted_sets
from model.networks.weights_file import WeightsError
from model.version_store import Version

DECIMALS = 6


def embed_missing(session: Session) -> str:
    """Embed images that have no label and no embedding; returns why that ended early, "" where it did not."""
    barred = session.index.tasks.barred()
    rows = [row for row in session.index.rows() if row.state != LABELLED and row.reference and row.task not in barred]
    session.store.refresh()
    missing = set(session.store.missing([row.key for row in rows]))
    try:
        embed(session, [row for row in rows if row.key in missing])
    except (LabelStudioError, WeightsError) as error:
        return str(error)
    return ""


def write_predictions(folder: Path, rows: Sequence[Row], session: Session, version: Version) -> tuple[int, int]:
    """Write the probabilities of all `rows` without a label; returns how many have some, and how many have none since their
    image could not be read. Those stand there with the reason."""
    assert version.head  # noqa: S101
    unlabelled = [row for row in rows if row.state != LABELLED]
    embeddings, found = session.store.get([row.key for row in unlabelled])
    probabilities = version.head.probabilities(embeddings)
    header = ["task", "image", "state", "prediction", *(f"p({name})" for name in version.classes), "remark"]

    def line(row: Row, number: int) -> list[str | int | float]:
        start: list[str | int | float] = [row.task, row.reference, row.state]
        if not found[number]:
            return [*start, "", *[""] * len(version.classes), row.error or "it is not embedded yet"]
        values = probabilities[number]
        best = names_in(predicted_sets(values), version.classes) if version.several else version.classes[int(values.argmax())]
        return [*start, best, *(round(float(value), DECIMALS) for value in values), ""]

    write_table(folder / "predictions.csv", header, (line(row, number) for number, row in enumerate(unlabelled)))
    return int(found.sum()), len(unlabelled) - int(found.sum())
