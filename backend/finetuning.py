"""The job that retrains ResNet50 on a project's labels, and lets rounds use the result if it is better.

Quick rounds go on meanwhile with the old backbone. A killed job goes on where it was: labels, photos, cached features and
checkpoints lie in the project's folder `finetune` until it is done.
"""

import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.embedding import FETCHERS, embed, note_errors, unembedded
from backend.index import Row
from backend.jobs import job
from backend.promotion import Comparison, compare, split
from backend.rounds import Labelled, train
from backend.session import Session
from backend.status import describe_finetuned
from model.backbones import About
from model.files import read_json, write_json
from model.finetune import Status, TooFewLabels
from model.finetune import finetune as retrain
from model.images import ImageError
from model.photos import store_photo
from model.versions import Version, fingerprint

log = logging.getLogger(__name__)
NICE = 10  # on top of a worker's own: rounds, embedding and the server go first


@dataclass(frozen=True)
class Run:
    """What one fine-tuning learns from, fixed when it begins. tasks, labels: int64 (n,); test, stop: bool (n,)."""

    folder: Path
    tasks: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    stop: np.ndarray


def finetune(project: int, generation: int, depth: str) -> dict[str, Any] | None:
    """Retrain ResNet50 for `project`, "last" or "all" of it. Returns what came of it, which `status` shows too."""
    os.nice(NICE)
    with job(f"finetune_{depth}", project) as at:
        s = at.session
        at.begin(generation)
        if s.state.paused or not s.state.connected:
            return {"ignored": "the project is paused" if s.state.paused else "the project is not connected"}
        s.sync()
        started = time.time()
        try:
            run = _begin(s, depth, generation)
            made = _make(s, run, depth)
        except TooFewLabels as reason:
            return {"ignored": str(reason)}
        name = made["backbone"]
        result = made | _conclude(s, name, _judge(s, run, name)) | {"labels": len(run.tasks)}
        result["seconds"] = time.time() - started
        with s.edit() as state:
            state.finetuned = result
        if result["promoted"]:
            _embed_pool(s, name)
            with s.edit() as state:
                state.promoting = name
            at.wake("round")
        shutil.rmtree(run.folder, ignore_errors=True)
        log.info("Project %s: %s", project, describe_finetuned(result))
        return result
    return None


def _begin(s: Session, depth: str, generation: int) -> Run:
    """Take up the run that a killed job left behind, or begin one with the labels of now."""
    folder = s.projects.folder(s.project) / "finetune"
    labelled, _ = s.labelled_and_pool()
    about = {
        "depth": depth,
        "target": s.target.as_dict(),
        "base": s.backbones.base,
        "live_backbone": s.backbone,
    }
    left = read_json(folder / "run.json") or {}
    same = {key: left.get(key) for key in about} == about
    here = fingerprint(labelled.tasks, labelled.labels, s.target.as_dict())
    if not same or (left["generation"] != generation and left["fingerprint"] != here):
        shutil.rmtree(folder, ignore_errors=True)
        parts = split(labelled)
        arrays = {"tasks": labelled.tasks, "labels": labelled.labels, "test": parts.test, "stop": parts.stop}
        left = about | {"generation": generation, "fingerprint": here} | {k: v.tolist() for k, v in arrays.items()}
        write_json(folder / "run.json", left)
        with s.edit() as state:
            state.tuned_labels = len(labelled.tasks)
    else:
        log.info("Project %s: fine-tuning goes on where it was", s.project)
    return Run(
        folder,
        np.array(left["tasks"], np.int64),
        np.array(left["labels"], np.int64),
        np.array(left["test"], bool),
        np.array(left["stop"], bool),
    )


def _photos(s: Session, run: Run) -> dict[int, Path]:
    """The photos to learn and to stop on, shrunk, on disk: task -> path. One that cannot be read is passed over."""
    wanted = set(run.tasks[~run.test].tolist())
    rows = [row for row in s.index.rows() if row.task in wanted]
    paths = {row.task: run.folder / f"{row.key}.jpg" for row in rows}

    def fetch(row: Row) -> str | None:
        if paths[row.task].exists():
            return None
        try:
            store_photo(s.images.fetch(row.task, row.reference), s.settings.max_image_pixels, paths[row.task])
        except ImageError as error:
            return str(error)
        return None

    errors: dict[int, str | None] = {}
    with ThreadPoolExecutor(FETCHERS) as pool:
        for done, (row, error) in enumerate(zip(rows, pool.map(fetch, rows), strict=True), 1):
            s.progress("fetching photos", done, len(rows))
            if error:
                errors[row.task] = error
    note_errors(s, errors)
    return {task: path for task, path in paths.items() if task not in errors}


def _make(s: Session, run: Run, depth: str) -> dict[str, Any]:
    """Retrain, and put the new backbone where rounds will find it; what a killed job has made already is taken as it is."""
    note = run.folder / "made.json"
    made = read_json(note)
    if made and s.backbones.has(made["backbone"]):
        return made
    photos = _photos(s, run)
    here = np.array([task in photos for task in run.tasks.tolist()], bool)

    def report(status: Status) -> None:
        s.progress(status.step, status.done, status.total, macro_f1=status.macro_f1, seconds_left=status.seconds_left)

    found = retrain(
        [photos[task] for task in run.tasks[here].tolist()],
        run.labels[here],
        run.stop[here],
        depth=depth,
        weights=s.settings.model_weights,
        folder=run.folder,
        minutes=s.settings.finetune_minutes,
        report=report,
    )
    with s.edit() as state:
        state.candidate = found.name  # spared from collection from now on
    s.backbones.adopt(found.weights, found.name, About(depth, tuple(run.tasks[~run.test].tolist())))
    made = {"backbone": found.name, "depth": depth, "epochs": found.epochs, "training_seconds": found.seconds}
    write_json(note, made)
    return made


def _judge(s: Session, run: Run, name: str) -> Comparison:
    """Compare the new backbone with the live one on the test images, as far as they are labelled alike still."""
    live, _ = s.labelled_and_pool()
    s.use_backbone(name)
    rows, _ = unembedded(s)
    embed(s, rows)
    new, _ = s.labelled_and_pool()
    both = np.intersect1d(live.tasks, new.tasks)
    live, new = _only(live, both), _only(new, both)
    tested = dict(zip(run.tasks[run.test].tolist(), run.labels[run.test].tolist(), strict=True))
    test = np.array([tested.get(task) == label for task, label in zip(live.tasks.tolist(), live.labels.tolist(), strict=True)])
    return compare(live.embeddings, new.embeddings, live.labels, test, len(s.target.classes))


def _only(labelled: Labelled, tasks: np.ndarray) -> Labelled:
    """The part of `labelled` about `tasks`, in the order of their ids."""
    order = np.argsort(labelled.tasks)
    order = order[np.isin(labelled.tasks[order], tasks)]
    return Labelled(*(values[order] for values in vars(labelled).values()))


def _conclude(s: Session, name: str, found: Comparison) -> dict[str, Any]:
    """What came of it. A backbone that is not used is kept as a version without a queue, for a `rollback` to it."""
    result = found.as_dict() | {"promoted": found.promoted, "version": ""}
    if found.promoted:
        return result
    labelled, _ = s.labelled_and_pool()
    head, metrics = train(labelled, len(s.target.classes))
    version = s.versions.new_name(s.label_studio.prediction_counts(s.project))
    newest = max((row.task for row in s.index.rows()), default=0)
    about = (version, time.time(), s.target.as_dict(), name, s.rules().strategy)
    s.versions.write(Version(*about, head, labelled.tasks, labelled.labels, newest, metrics))
    with s.edit() as state:
        state.candidate = ""
    return result | {"version": version}


def _embed_pool(s: Session, name: str) -> None:
    """Embed every image of the project with the new backbone, so that the round that publishes with it is a quick one."""
    s.use_backbone(name)
    while True:
        labelled, others = unembedded(s)
        if not labelled and not others:
            return
        embed(s, [*labelled, *others])
        s.sync()
