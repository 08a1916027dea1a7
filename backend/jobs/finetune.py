"""The job that retrains ResNet50 on a project's labels, and lets rounds use the result if it is better.

Quick rounds go on meanwhile with the old backbone. A killed job goes on where it was: labels, photos, cached features and
checkpoints lie in the project's folder `finetune` until it is done.
"""

import fcntl
import logging
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.index.index import Row
from backend.jobs.job import JobAtWork, perform
from backend.jobs.judging import ConfigChanged, judge, keep_version
from backend.jobs.publish import Superseded
from backend.learning.promotion import Split, split
from backend.learning.rounds import Labelled
from backend.project.embedding import embed_tasks, note_errors, unembedded
from backend.project.references import References
from backend.project.session import Session
from backend.project.share import lead
from backend.records.outcome import describe_finetuned
from model.backbone_store import About
from model.embeddings.embedding_loop import READERS
from model.embeddings.images import ImageError
from model.finetune import Status, TooFewLabels
from model.finetune import finetune as retrain_resnet50
from model.networks import network
from model.networks.backbone import BackboneSpec
from model.photos import store_photo
from model.storage.files import read_json, write_json
from model.version_store import fingerprint

log = logging.getLogger(__name__)
MADE = "made.json"  # in a run's folder: the backbone is there, and what is left is to judge it
LEARN_FROM = 12  # labelled images, at least
SLICE = 60  # seconds of embedding the pool, between looks at what is new


@dataclass(frozen=True)
class Run:
    """What one fine-tuning learns from, fixed when it begins. base: the backbone that is retrained; tasks, labels: int64 (n,);
    test, stop: bool (n,).
    """

    folder: Path
    base: BackboneSpec
    tasks: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    stop: np.ndarray


def finetune(project: int, generation: int, depth: str) -> Any:
    """Retrain ResNet50 for `project`, "last" or "all" of it. Returns what came of it, which `status` shows too."""
    return perform(f"finetune_{depth}", project, generation, lambda at: _finetune(at, generation, depth))


def _finetune(at: JobAtWork, generation: int, depth: str) -> dict[str, Any]:
    s = at.session
    folder = s.finetuning / depth
    if not s.state.connected or (s.state.paused and not folder.exists()):
        return {"ignored": "the project is paused" if s.state.connected else "the project is not connected"}
    known = network(s.backbones.wanted.network)
    if not known.tunable:
        return {
            "ignored": f"{known.name} cannot be retrained on labels; `connect --backbone resnet50` takes a network that can be"
        }
    with _alone(folder):
        return _learn_and_judge(at, folder, generation, depth)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Work in `folder` with no other process. Raises Superseded where one does: a job whose heartbeat was late, as while Redis
    was away, is given to a second worker although the first goes on."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Superseded(f"{folder}: another process is at this fine-tuning already") from None
        yield


def _learn_and_judge(at: JobAtWork, folder: Path, generation: int, depth: str) -> dict[str, Any]:
    s, started = at.session, time.time()
    s.sync()
    if s.target.SEVERAL:
        return {"ignored": "fine-tuning learns single choices, and an image may be of several classes here"}
    try:
        run = _begin(s, folder, generation)
        made = _make(s, run, depth)
        result = made | _judge(s, run, made["backbone"]) | {"labels": len(run.tasks)}
    except (TooFewLabels, ConfigChanged) as reason:
        shutil.rmtree(folder, ignore_errors=True)
        return {"ignored": str(reason)}
    if result["promoted"]:
        _embed_pool(at, made["backbone"])
    _finish(s, result | {"seconds": time.time() - started})
    if result["promoted"]:
        at.wake("round")
    shutil.rmtree(folder, ignore_errors=True)
    log.info("Project %s: %s", s.project, describe_finetuned(s.state.finetuned))
    return s.state.finetuned


def _begin(s: Session, folder: Path, generation: int) -> Run:
    """Take up the run that a killed job left behind, or begin one with the labels of now. Raises TooFewLabels."""
    embed_tasks(s, unembedded(s)[0])
    labelled = s.labelled()
    about = {"target": s.target.as_dict(), "base": s.backbones.wanted_name, "created_at": s.info["created_at"]}
    here = fingerprint(labelled.tasks, labelled.labels, s.target.as_dict())
    left = read_json(folder / "run.json") or {}
    same = {key: left.get(key) for key in about} == about
    if same and (left["generation"] == generation or left["labelled"] == here or (folder / MADE).exists()):
        log.info("Project %s: fine-tuning goes on where it was", s.project)
        for cut_off in folder.glob(".*.tmp"):
            cut_off.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)
        parts = split(labelled)
        _check_enough(labelled, parts)
        arrays = {"tasks": labelled.tasks, "labels": labelled.labels, "test": parts.test, "stop": parts.stop}
        left = about | {"generation": generation, "labelled": here} | {k: v.tolist() for k, v in arrays.items()}
        write_json(folder / "run.json", left)
        with s.edit() as state:
            state.tuned_labels = len(labelled.tasks)
    return Run(
        folder,
        s.backbones.wanted,
        tasks=np.array(left["tasks"], np.int64),
        labels=np.array(left["labels"], np.int64),
        test=np.array(left["test"], bool),
        stop=np.array(left["stop"], bool),
    )


def _check_enough(labelled: Labelled, parts: Split) -> None:
    learned = int((~parts.test & ~parts.stop).sum())
    if learned < LEARN_FROM or len(np.unique(labelled.labels[~parts.test & ~parts.stop])) < 2:
        raise TooFewLabels(
            f"Of {len(labelled.tasks)} labels {len(labelled.tasks) - learned} are kept to judge the result, which leaves "
            f"{learned} to learn from: it takes {LEARN_FROM} of two classes. Label more images, hundreds if you can."
        )


def _make(s: Session, run: Run, depth: str) -> dict[str, Any]:
    """Retrain, and put the new backbone where rounds will find it; what a killed job has made already is taken as it is."""
    made = read_json(run.folder / MADE)
    if made and s.backbones.has(made["backbone"]):
        return made
    photos = _photos(s, run)
    here = np.array([task in photos for task in run.tasks.tolist()], bool)

    def report(status: Status) -> None:
        s.progress(status.step, status.done, status.total, macro_f1=status.macro_f1, seconds_left=status.seconds_left)

    found = retrain_resnet50(
        [photos[task] for task in run.tasks[here].tolist()],
        run.labels[here],
        run.stop[here],
        depth=depth,
        spec=run.base,
        folder=run.folder,
        minutes=s.settings.finetune_minutes,
        report=report,
    )
    with s.edit() as state:
        state.adopted(found.name)  # spared from collection from now on
    s.backbones.adopt(found.weights, found.name, About(depth, tuple(run.tasks[~run.test].tolist())), run.base)
    made = {"backbone": found.name, "depth": depth, "epochs": found.epochs, "training_seconds": found.seconds}
    write_json(run.folder / MADE, made)
    return made


def _photos(s: Session, run: Run) -> dict[int, Path]:
    """The photos to learn and to stop on, shrunk, on disk: task -> path. One that cannot be read is passed over.

    Once they are there, they stay the same for the whole run: features and checkpoints go by their order.
    """
    note = run.folder / "photos.json"
    if found := read_json(note):
        return {int(task): run.folder / name for task, name in found.items()}
    rows = s.index.rows_of(np.unique(run.tasks[~run.test]).tolist())
    names = {row.task: f"{row.key}.jpg" for row in rows}

    references = References(s, rows)

    def fetch(row: Row) -> ImageError | None:
        try:
            _store(s, row, references, run.folder / names[row.task])
        except ImageError as error:
            return error
        return None

    errors: dict[Row, ImageError | None] = {}
    with ThreadPoolExecutor(READERS) as pool:
        for done, (row, error) in enumerate(zip(rows, pool.map(fetch, rows), strict=True), 1):
            s.progress("fetching photos", done, len(rows))
            if error:
                errors[row] = error
    note_errors(s, errors)
    there = {row.task: names[row.task] for row in rows if row not in errors}
    write_json(note, there)
    return {task: run.folder / name for task, name in there.items()}


def _store(s: Session, row: Row, references: References, path: Path) -> None:
    """Store one photo, where it is not there yet. Raises ImageError where it cannot be had, LabelStudioError where Label Studio
    as a whole is out of order, OSError where the disk is."""
    if path.exists():
        return
    content = s.images.fetch(row.task, references.of(row))
    try:
        store_photo(content, s.settings.max_image_pixels, path)
    except (ImageError, OSError):
        raise
    except Exception as error:  # whatever one odd file makes a library raise
        raise ImageError(f"cannot be read ({type(error).__name__}: {error})") from error


def _judge(s: Session, run: Run, name: str) -> dict[str, Any]:
    """Compare the new backbone with the one live now, on test images that neither has seen and whose labels still stand.

    One that is not used is kept as a version without a queue, for a `rollback` to it. Raises ConfigChanged.
    """
    tested = dict(zip(run.tasks[run.test].tolist(), run.labels[run.test].tolist(), strict=True))
    verdict = judge(s, name, tested)
    promoted = verdict.found.promoted
    version = "" if promoted else keep_version(s, verdict)
    return verdict.found.as_dict() | {"promoted": promoted, "version": version}


def _embed_pool(at: JobAtWork, name: str) -> None:
    """Embed every image of the project with the new backbone, beside workers that have nothing else to embed, so that the round
    that publishes with it is a quick one."""
    s = at.session
    s.use_backbone(name)
    while (wait := lead(s, at.claims(), SLICE, lambda: at.wake("embed"), lambda: False)) is not None:
        time.sleep(wait)
        s.sync()


def _finish(s: Session, result: dict[str, Any]) -> None:
    """The verdict and what follows from it, in one act. A project that is paused takes the new backbone up when it goes on."""
    with s.edit() as state:
        state.finetuned = result
        state.judged(result["backbone"], promoted=result["promoted"] and state.connected)
