"""Bringing the images of a project into its embedding store, shard by shard."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from backend.learning.slots import slot_order
from backend.project.index import LABELLED, UNUSABLE, Row
from backend.project.session import Session
from model.backbone import Backbone, load_backbone
from model.images import ImageError, to_tensor

log = logging.getLogger(__name__)
BATCH = 16  # images through the network at once
SHARD = 128  # images per shard: what a crash can cost
FETCHERS = 8
_network = threading.Lock()  # one batch at a time: requests that race for the processors are all slower


@lru_cache(maxsize=2)
def get_backbone(weights: Path | None) -> Backbone:
    """The backbone, loaded once per process; two, for projects that have another one."""
    return load_backbone(weights)


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items each (itertools.batched, which Python 3.11 lacks)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def unembedded(session: Session) -> tuple[list[Row], list[Row]]:
    """Tasks that have no embedding and may be tried: the labelled ones, and the others in the order of random slots."""
    due = session.index.due()
    rows = [row for row in session.index.rows() if row.task in due and row.state != UNUSABLE]
    session.store.refresh()
    missing = set(session.store.missing([row.key for row in rows]))
    rows = [row for row in rows if row.key in missing]
    labelled = [row for row in rows if row.state == LABELLED]
    others = [row for row in rows if row.state != LABELLED]
    order = slot_order(np.array([row.task for row in others], np.int64))
    return labelled, [others[i] for i in order]


def embed(session: Session, rows: Sequence[Row], seconds: float = float("inf")) -> int:
    """Embed the images of `rows` with the session's backbone for about `seconds`; returns how many were tried.

    An image that cannot be read is noted with its reason and passed over. Raises LabelStudioError, WeightsError.
    """
    if not rows:
        return 0
    deadline, tried = time.monotonic() + seconds, 0
    session.progress("loading ResNet50", 0, 1)
    backbone = get_backbone(session.backbones.weights(session.backbone))
    with ThreadPoolExecutor(FETCHERS) as pool:
        for shard in batched(rows, SHARD):
            tensors = pool.map(partial(_tensor, session, deadline), shard)
            embedded: list[tuple[int, np.ndarray]] = []
            errors: dict[int, str | None] = {}
            for batch in batched(zip(shard, tensors, strict=True), BATCH):
                good = [(row, tensor) for row, tensor in batch if isinstance(tensor, torch.Tensor)]
                errors |= {row.task: str(reason) for row, reason in batch if isinstance(reason, ImageError)}
                errors |= {row.task: None for row, _ in good if row.error}
                if good:
                    with _network:
                        values = backbone.embed(torch.stack([tensor for _, tensor in good]))
                    embedded += [(row.key, value) for (row, _), value in zip(good, values, strict=True)]
                tried += sum(tensor is not None for _, tensor in batch)
                session.progress("embedding images", tried, len(rows))
            if embedded:
                session.store.add([key for key, _ in embedded], np.stack([value for _, value in embedded]))
            note_errors(session, errors)
            if time.monotonic() > deadline:
                break
    session.store.refresh()
    return tried


def note_errors(session: Session, errors: dict[int, str | None]) -> None:
    """Remember and log why images could not be read; None where they now can."""
    for task, reason in errors.items():
        if reason:
            log.warning("Project %s, task %s: %s", session.project, task, reason)
    session.index.set_errors(errors)


def _tensor(session: Session, deadline: float, row: Row) -> torch.Tensor | ImageError | None:
    """The image of a task, why it cannot be read, or None where time is up."""
    if time.monotonic() > deadline:
        return None
    try:
        return to_tensor(session.images.fetch(row.task, row.reference), session.settings.max_image_pixels)
    except ImageError as error:
        return error
