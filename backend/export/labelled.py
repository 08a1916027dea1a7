"""The labelled set as files: which image has which label and where that comes from, and the images themselves if asked for."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.export.tables import BETWEEN, write_table
from backend.index.consensus import annotations_of
from backend.index.index import Row
from backend.labelstudio.labelling_config import Target
from backend.labelstudio.several import names_of
from backend.project.references import References
from backend.project.session import Session
from model.embeddings.image_files import format_of
from model.embeddings.images import ImageError

Report = Callable[[str, int, int], None]
ENDINGS = {
    "JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm", "AVIF": "avif",
    "HEIC": "heic",
}  # fmt: skip
READERS = 8  # images that are fetched at once
LONGEST_NAME = 60  # characters, so that in UTF-8 no file system refuses it
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)  # no name of a folder on Windows


@dataclass
class Answers:
    """Where labels come from. sources: by task; sureness: how probable each is, as far as answers were weighed; annotators: how
    many annotations each has given. Empty where not known."""

    sources: dict[int, str] = field(default_factory=dict)
    sureness: dict[int, float] = field(default_factory=dict)
    annotators: Counter[str] = field(default_factory=Counter)


def read_answers(session: Session, target: Target, report: Report) -> Answers:
    """Ask Label Studio who has answered what. Raises LabelStudioError."""
    answers, done = Answers(), 0
    labels = session.index.tasks.labels()
    answers.sureness = session.index.answers.sureness()
    for page in session.label_studio.answers_of(session.project):
        for task in page:
            by_people = [one for one in annotations_of(task.get("annotations")) if isinstance(one, dict)]
            given = [one for one in by_people if not one.get("was_cancelled")]
            answers.annotators.update(_who(one.get("completed_by")) for one in given)
            answers.sources[task["id"]] = _source(given, target, labels.get(task["id"]))
        done += len(page)
        report("reading annotations", done, max(done, session.info["task_number"]))
    return answers


def _who(completed_by: Any) -> str:
    return str(completed_by.get("id") if isinstance(completed_by, dict) else completed_by)


def _source(given: list[dict[str, Any]], target: Target, label: str | None) -> str:
    """Where the `label` of a task with the annotations `given` comes from."""
    truths = [one for one in given if one.get("ground_truth") is True]
    if truths:
        return "ground truth"
    votes = Counter(target.answer(one.get("result")).choice for one in given)
    most = max((count for choice, count in votes.items() if choice is not None), default=0)
    return f"{votes.get(label) or most} of {len(given)} annotations"


def write_labels(
    folder: Path, rows: Sequence[Row], answers: Answers, random: set[int], files: dict[int, str] | None, several: bool = False
) -> None:
    """labels.csv: a line for each of the labelled `rows`. random: tasks of the random sample; files: where their images lie,
    None for nowhere; several: whether a label is a set of classes."""
    header = ["task", "image", "label", "source", "sureness", "random_slot"] + ([] if files is None else ["file"])

    def line(row: Row) -> list[str | int | float]:
        slot = "yes" if row.task in random else "no"
        file = [] if files is None else [files.get(row.task, "")]
        label = BETWEEN.join(names_of(row.label or "")) if several else row.label or ""
        sure = answers.sureness.get(row.task)
        told = "" if sure is None else round(sure, 3)
        return [row.task, row.reference, label, answers.sources.get(row.task, ""), told, slot, *file]

    write_table(folder / "labels.csv", header, map(line, rows))


def fetch_images(session: Session, rows: Sequence[Row], folder: Path, report: Report) -> tuple[dict[int, str], dict[int, str]]:
    """Put the image of each of the labelled `rows` into labels/CLASS/TASK.ending, as it is; returns those files and, of images
    that cannot be had, why, both by task. Raises LabelStudioError where Label Studio as a whole is out of order."""
    names = folder_names({row.label or "" for row in rows})
    references = References(session, rows)
    files: dict[int, str] = {}
    lost: dict[int, str] = {}

    def fetch(row: Row) -> str | ImageError:
        try:
            content = session.images.fetch(row.task, references.of(row))
        except ImageError as error:
            return error
        ending = ENDINGS.get(kind := format_of(content))
        if not ending:
            return ImageError(f"it is no image that is read here: {kind or 'its format is unknown'}")
        path = folder / "labels" / names[row.label or ""] / f"{row.task}.{ending}"
        path.write_bytes(content)
        return str(path.relative_to(folder))

    for name in names.values():
        (folder / "labels" / name).mkdir(parents=True)
    with ThreadPoolExecutor(READERS) as readers:
        try:
            for done, (row, found) in enumerate(zip(rows, readers.map(fetch, rows), strict=True), 1):
                report("fetching labelled images", done, len(rows))
                (lost if isinstance(found, ImageError) else files)[row.task] = str(found)
        except BaseException:
            readers.shutdown(cancel_futures=True)
            raise
    return files, lost


def folder_names(classes: Iterable[str]) -> dict[str, str]:
    """A name for the folder of each class, no two alike in small letters: letters, digits, spaces, "-" and "_" of the class
    name, so that none leads elsewhere."""
    names: dict[str, str] = {}
    for label in sorted(classes):
        plain = re.sub(r"[^\w \-]+", "_", label.encode("utf-8", "replace").decode())[:LONGEST_NAME].strip() or "_"
        plain = f"{plain}_" if RESERVED.fullmatch(plain) else plain
        taken = {name.casefold() for name in names.values()}
        candidates = [plain, *(f"{plain}-{number}" for number in range(2, len(names) + 3))]
        names[label] = next(name for name in candidates if name.casefold() not in taken)
    return names
