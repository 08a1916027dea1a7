"""Taking a project away: a version, the labels and the predictions of one moment, put into one folder."""

import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from backend import __version__
from backend.export.card import Card, render_card
from backend.export.folder import ExportError, check_free, whole_folder
from backend.export.labelled import Answers, fetch_images, read_answers, write_labels
from backend.export.measured import Measured, measure_difference
from backend.export.predictions import embed_missing, write_predictions
from backend.index.moments import moment_of
from backend.index.tasks import TaskArrays
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.labelstudio.several import names_of
from backend.project.arrays import labelled_and_pool
from backend.project.session import Session
from backend.status.values import version_values
from model.backbone_note import BackboneNote
from model.plain import predict
from model.plain.network import Plain, plain
from model.plain.onnx import OnnxUnavailable, write_onnx
from model.version_store import Version

CSV, FOLDER, NONE = "csv", "folder", "none"
LABELS = (CSV, FOLDER, NONE)  # forms of the labelled set


@dataclass
class Exported:
    """What came of it. left_out: what the folder lacks, and why."""

    folder: Path
    version: str
    labelled: int = 0
    predicted: int = 0
    left_out: list[str] = field(default_factory=list)


def export(session: Session, to: Path, name: str = "", labels: str = CSV) -> Exported:
    """Write the version `name`, by default the live one, with labels and predictions into the folder `to`.

    labels: one of LABELS. Where Label Studio is out of reach, labels and images are as they were last known, and the card says
    so. Raises ExportError, VersionError, WeightsError; LabelStudioError where images are to be fetched and cannot be.
    """
    check_free(to)
    version = _version(session, name)
    if version.several and labels == FOLDER:
        raise ExportError(
            "An image may be of several classes here, so that it has no folder: `--labels csv` goes without them."
        )
    spec = session.backbones.spec(version.backbone)
    session.use_backbone(version.backbone)
    exported = Exported(to, version.name)
    if trouble := _brought_up(session):
        if labels == FOLDER:
            raise ExportError(f"Images cannot be fetched: {trouble} `--labels csv` goes without them.")
        exported.left_out.append(f"What is newer than the last round, since Label Studio could not be asked: {trouble}")
    with whole_folder(to, {"project": session.project, "version": version.name, "software": __version__}) as folder:
        session.progress("writing the network", 0, 1)
        assert version.head  # noqa: S101
        network = plain(spec, version.head, version.classes)
        _write_network(folder, network)
        card = Card(
            session.project, _title(session), version, session.backbones.note(version.backbone) or BackboneNote(), network.about
        )
        if not trouble and (why := embed_missing(session)):
            exported.left_out.append(f"Predictions for images that have no embedding yet: {why}")
        every = session.index.tasks.arrays()
        _write_labels(folder, session, every, labels, card, exported, fresh=not trouble)
        card.predicted = write_predictions(folder, every, session, version)
        card.measured = Measured() if trouble else measure_difference(session, every, network, version.head)
        session.progress("writing ONNX", 0, 1)
        try:
            card.onnx = write_onnx(network, card.measured.images or [_noise(network)], folder / "model.onnx")
        except OnnxUnavailable as error:
            exported.left_out.append(f"model.onnx: {error}")
        card.counts, card.left_out = session.index.counts(), exported.left_out
        card.history = [version_values(session.versions, each) for each in session.versions.names()]
        (folder / "README.md").write_text(render_card(card), encoding="utf-8", errors="backslashreplace")
    exported.labelled, exported.predicted = card.counts["labelled"], card.predicted[0]
    return exported


def _version(session: Session, name: str) -> Version:
    """The version to export, which has a head. Raises ExportError, VersionError."""
    name = name or session.state.live
    if not name:
        raise ExportError(
            f"Project {session.project} has no version yet: `al-backend connect --project {session.project}`, then label some "
            "images of two classes."
        )
    version = session.versions.load(name)
    if version.head is None:
        raise ExportError(f"{name} has not learned anything, since no image had a label: label some, and export again.")
    return version


def _brought_up(session: Session) -> str:
    """Bring the index up to Label Studio; returns why it is as it was last known, "" where it is as of now.

    Raises ExportError where the project there is another one under the same id: what is known here must not be lost by this.
    """
    try:
        if outage := session.label_studio.outage():
            return str(outage)
        created, known = session.look()["created_at"], session.state.created_at
        if known and moment_of(known) != moment_of(created):
            raise ExportError(
                f"Project {session.project} in Label Studio is not the one that was learned here, but one made later under the "
                "same number: point LABEL_STUDIO_URL at the Label Studio that it belongs to."
            )
        session.sync()
    except (LabelStudioError, LabelConfigError) as error:
        return str(error)
    return ""


def _title(session: Session) -> str:
    return str(session.info.get("title") or f"Project {session.project}")


def _write_network(folder: Path, network: Plain) -> None:
    metadata = {"stride_in_1x1": "true" if network.about["stride_in_1x1"] else "false"}
    save_file(network.state, folder / "model.safetensors", metadata)
    (folder / "model.json").write_text(json.dumps(network.about, indent=1) + "\n")
    (folder / "model.safetensors").chmod((folder / "model.json").stat().st_mode)  # safetensors lets nobody else read it
    shutil.copyfile(Path(predict.__file__), folder / "predict.py")


def _write_labels(
    folder: Path, session: Session, every: TaskArrays, labels: str, card: Card, exported: Exported, fresh: bool
) -> None:
    """labels.csv, images if asked for, and what the card tells of labels."""
    answers = Answers()
    if fresh:
        try:
            answers = read_answers(session, session.target, session.progress)
        except LabelStudioError as error:
            exported.left_out.append(f"Where labels come from: {error}")
    classes = session.target.classes if fresh else card.version.classes
    draw, unseen = (
        partial(session.sample.draw, share=session.settings.explore),
        partial(session.backbones.unseen, session.backbone),
    )
    accepted = {label.task for label in session.index.accepted.all()}
    several = card.version.several
    known, _ = labelled_and_pool(every, classes, session.store, draw, unseen, False, several, accepted)
    random = set(known.tasks[known.weights > 0].tolist())
    card.answers, card.random = answers, len(random)
    card.labels = dict(Counter(name for label in every.labels.values() for name in (names_of(label) if several else [label])))
    if labels == NONE:
        return
    files, rows = None, session.index.rows_of(every.labels)
    rows = [row._replace(label=every.labels[row.task]) for row in rows]  # all are as of one moment
    if labels == FOLDER:
        files, lost = fetch_images(session, rows, folder, session.progress)
        if lost:
            task, why = next(iter(lost.items()))
            exported.left_out.append(f"{len(lost)} labelled images, such as that of task {task}: {why}")
    write_labels(folder, rows, answers, random, files, several)


def _noise(network: Plain) -> np.ndarray:
    """An image for a network to be tried on where the project's cannot be had."""
    height, width = network.about["preprocessing"]["crop"] or (256, 320)
    return np.random.default_rng(int(time.time())).integers(0, 255, (height, width, 3), dtype=np.uint8)
