"""Whether picks made on frozen embeddings still help a ResNet50 that is retrained on them (2403.01101 says: not always)."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.learning.promotion import STOP_SHARE
from backend.simulate.curves import Curve
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Rows, draw
from backend.simulate.embed_dataset import embeddings_of
from backend.simulate.folder import Source
from backend.simulate.progress import StepLine
from backend.simulate.protocol import BASELINE, Protocol
from backend.simulate.statistics import estimate
from backend.simulate.store import VERSION, Trial, code_digest, digest
from backend.simulate.text import as_points, as_value, markdown
from model.embeddings.embedding_store import embedding_key
from model.finetune import Status, finetune
from model.heads.head import fit_head
from model.heads.learner import Learner
from model.measuring.metrics import macro_f1
from model.networks.backbone import BackboneSpec, backbone_name
from model.photos import store_photo
from model.storage.files import read_json, write_json

STOP_FOLD_FROM = 200  # labels; below it cross-validation finds the epochs, since no image can be spared
CODE = ("backend/simulate/retraining.py", "backend/learning/promotion.py")  # beside what curves depend on


@dataclass(frozen=True)
class Retraining:
    """How ResNet50 is retrained: depth, "last" stage or "all"; from the backbone `spec`; at which numbers of labels."""

    depth: str
    spec: BackboneSpec
    at: tuple[int, ...]
    cache: Path
    max_pixels: int


def retrain_curves(
    images: Dataset, protocol: Protocol, how: Retraining, curves: Mapping[Trial, Curve], fresh: bool, line: StepLine
) -> dict[Trial, list[float]]:
    """Macro F1 on the test images for each of `how.at`, of a plain head on ResNet50 retrained on the labels until then.

    One after the other, since each uses every processor; finished ones stay on disk, and equal picks are learned once.
    """
    scores: dict[Trial, list[float]] = {trial: [] for trial in curves}
    line.start(f"retraining ResNet50 ({how.depth})", len(curves) * len(how.at))
    for trial, curve in curves.items():
        test = draw(images, protocol, trial.seed).test
        for labels in how.at:
            picked = np.array(curve.picked[:labels])
            scores[trial].append(_remembered(images, how, trial, (picked, test), fresh, line))
            line.advance(1)
    return scores


def as_retrained_table(
    scores: Mapping[str, Sequence[list[float]]], frozen: Mapping[str, Sequence[Curve]], at: Sequence[int]
) -> str:
    """In Markdown: F1 of the head alone and with ResNet50 retrained, each paired with random sampling."""
    rows = [["sampling method", "labels", "F1, head alone", "against random", "F1, ResNet50 retrained", "against random"]]
    for place, labels in enumerate(at):
        for name in scores:
            cells = [name, str(labels)]
            for values in (_at(frozen, labels), {key: np.array(value)[:, place] for key, value in scores.items()}):
                cells.append(as_value(estimate(values[name])))
                cells.append("" if name == BASELINE else as_points(estimate(values[name] - values[BASELINE])))
            rows.append(cells)
    return markdown(rows)


def _at(frozen: Mapping[str, Sequence[Curve]], labels: int) -> dict[str, Any]:
    """F1 of each seed at a number of labels."""
    return {name: np.array([c.macro_f1[c.labels.index(labels)] for c in curves]) for name, curves in frozen.items()}


def _remembered(images: Dataset, how: Retraining, trial: Trial, rows: tuple[Rows, Rows], fresh: bool, line: StepLine) -> float:
    """The F1 from before, if it was the same in everything, or a new one."""
    picked, test = rows
    about = [[images.sources[row].reference for row in part] for part in rows]
    made_by = (code_digest("", *CODE), torch.__version__, how.depth, backbone_name(how.spec))
    key = digest(VERSION, images.digest, about, trial.seed, made_by)
    path = how.cache / "finetuned" / f"{key}.json"
    before = None if fresh else read_json(path)
    if before:
        return before["macro_f1"]
    started = time.monotonic()

    def report(status: Status) -> None:
        line.advance(
            0, f"{trial.method.name}, seed {trial.seed}, {len(picked)} labels: {status.step} {status.done}/{status.total}"
        )

    folder = path.with_suffix("")
    f1 = _retrain(images, how, picked, test, folder, trial.seed, report, line)
    write_json(path, {"macro_f1": f1, "seconds": time.monotonic() - started})
    shutil.rmtree(folder, ignore_errors=True)
    return f1


def _retrain(
    images: Dataset, how: Retraining, picked: Rows, test: Rows, folder: Path, seed: int, report: Any, line: StepLine
) -> float:
    """Retrain on the rows `picked`, fit a head on the new embeddings, judge it on the rows `test`."""
    photos = [_photo(how, images.sources[row]) for row in picked]
    stopped = round(STOP_SHARE * len(picked)) if len(picked) >= STOP_FOLD_FROM else 0
    stop = np.random.default_rng(seed).permutation(len(picked)) < stopped
    labels = images.labels[picked]
    made = finetune(photos, labels, stop, depth=how.depth, spec=how.spec, folder=folder, seed=seed, report=report)
    sources = [images.sources[row] for row in (*picked, *test)]
    embeddings, _, _ = embeddings_of(sources, replace(how.spec, weights=made.weights), folder, how.max_pixels, line)
    head = fit_head(Learner(embeddings[: len(picked)].astype(np.float32), labels, len(images.classes), seed=seed))
    guesses = head.probabilities(embeddings[len(picked) :]).argmax(axis=1)
    return macro_f1(guesses, images.labels[test], len(images.classes))


def _photo(how: Retraining, source: Source) -> Path:
    """The image as fine-tuning reads it, kept for the next one."""
    path = how.cache / "photos" / f"{embedding_key(0, source.reference)}.jpg"
    if not path.exists():
        store_photo(source.read(how.max_pixels), how.max_pixels, path)
    return path
