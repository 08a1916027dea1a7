"""Bringing the images of a project into its embedding store."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.index.index import LABELLED, UNUSABLE, Row
from backend.labelstudio.client import LabelStudioError
from backend.learning.slots import slot_order
from backend.project.references import References
from backend.project.session import Session
from backend.queue.claims import EMBEDDING
from backend.records.state import ARITHMETIC, NETWORKS
from backend.settings import Settings
from model.backbone_note import title_of
from model.embeddings.embedding_loop import Outcome, Prepared, embed_images
from model.embeddings.images import ImageError, read
from model.networks.arithmetic import check_available
from model.networks.backbone import Backbone, BackboneSpec, backbone_name, load_backbone
from model.networks.weights_file import WeightsError

log = logging.getLogger(__name__)
PART = 512  # images whose tasks are read from the index at once


def get_backbone(spec: BackboneSpec, cache: Path) -> Backbone:
    """The backbone, loaded once per process; two, for projects that have another one. Other weights in the same file are
    another backbone. Raises WeightsError."""
    return _loaded(backbone_name(spec), spec, cache)


@lru_cache(maxsize=2)
def _loaded(_name: str, spec: BackboneSpec, cache: Path) -> Backbone:
    try:
        check_available(spec.arithmetic)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Run workers and server where it is there, or remove {cache.parent / ARITHMETIC} and start them again: "
            "then this machine's is chosen, and all images are embedded anew."
        ) from error
    return load_backbone(spec, cache)


def unembedded(session: Session) -> tuple[list[int], list[int]]:
    """Tasks that have no embedding and may be tried: the labelled ones, and the others in the order of random slots."""
    every, index = session.index.tasks.arrays(), session.index
    session.store.refresh()
    missing = ~session.store.has(every.keys) & ~every.are(UNUSABLE)
    if (failed := missing & every.unreadable).any():
        missing[failed] = ~np.isin(every.tasks[failed], list(index.tasks.barred()))
    labelled = every.tasks[missing & every.are(LABELLED)]
    others = every.tasks[missing & ~every.are(LABELLED)]
    return labelled.tolist(), others[slot_order(others)].tolist()


def embed_tasks(session: Session, tasks: Sequence[int], seconds: float = float("inf")) -> int:
    """As `embed`, the images of `tasks`, of which the index is asked for PART at a time: a project may have millions."""
    parts = session.index.parts_of(tasks, PART)
    return embed_parts(session, parts, seconds, lambda done: session.progress(EMBEDDING, done, len(tasks))) if tasks else 0


def embed(session: Session, rows: Sequence[Row], seconds: float = float("inf")) -> int:
    """Embed the images of `rows` with the session's backbone for about `seconds`; returns how many were tried.

    An image that cannot be read is noted with its reason and passed over. Raises WeightsError, and LabelStudioError where
    Label Studio as a whole is out of order, once what is there is stored.
    """
    return embed_parts(session, [rows], seconds, lambda done: session.progress(EMBEDDING, done, len(rows))) if rows else 0


def embed_parts(
    session: Session,
    parts: Iterable[Sequence[Row]],
    seconds: float,
    progress: Callable[[int], None],
    settled: Callable[[list[Outcome[Row]]], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """As `embed`, the rows in parts that are asked for one by one as they are needed. progress: told how many were tried so
    far; settled: told what became of rows, once it is stored and noted; stop: whether to end before `seconds` are over."""
    spec = session.backbones.spec(session.backbone)
    session.progress(f"loading {title_of(spec.network)}", 0, 1)
    backbone = get_backbone(spec, session.settings.data_dir / NETWORKS)
    references = References(session)

    def rows() -> Iterator[Row]:
        for part in parts:
            references.expect(part)
            yield from part

    def note(outcomes: list[Outcome[Row]]) -> None:
        note_errors(session, {o.item: o.error for o in outcomes if o.error or o.item.error})
        session.index.set_image_notes({o.item.key: o.note or None for o in outcomes if not o.error})
        settled(outcomes)

    tried = embed_images(
        rows(),
        key=lambda row: row.key,
        read=lambda row: read_pixels(session, row, references, backbone),
        embed=backbone.embed,
        store=session.store,
        note=note,
        batch=backbone.batch,
        progress=progress,
        seconds=seconds,
        stop=stop,
    )
    session.store.refresh()
    return tried


def embedding_of(settings: Settings, project: int, name: str, content: bytes) -> NDArray[np.float32]:
    """The embedding, float32 (D,), that the project's backbone `name` gives the image in `content`, which is kept nowhere.

    Raises ImageError where that is no image, WeightsError where the backbone cannot be had.
    """
    with Session(settings, project) as session:
        backbone = get_backbone(session.backbones.spec(name), settings.data_dir / NETWORKS)
    image = read(content, settings.max_image_pixels, backbone.least_side).image
    return backbone.embed(backbone.prepare(image)[None])[0]


def note_errors(session: Session, errors: Mapping[Row, ImageError | None]) -> None:
    """Remember why images could not be read, and when each is to be tried again; None where they now can. Logs one line."""
    failed = {row: error for row, error in errors.items() if error}
    for row, error in list(failed.items())[:1]:
        more = f" ({len(failed) - 1} more images failed beside it)" if len(failed) > 1 else ""
        log.warning("Project %s, task %s: %s%s", session.project, row.task, error, more)
    reasons = {row.key: str(error) if error else None for row, error in errors.items()}
    session.index.set_errors(reasons, {row.key: error.again_in for row, error in failed.items()})


def read_pixels(session: Session, row: Row, references: References, backbone: Backbone) -> Prepared:
    """The image of a task as `backbone` takes it. Raises ImageError where it cannot be had, LabelStudioError where Label Studio
    as a whole is out of order; nothing else."""
    try:
        content = session.images.fetch(row.task, references.of(row))
        decoded = read(content, session.settings.max_image_pixels, backbone.least_side)
        return Prepared(backbone.prepare(decoded.image), decoded.note)
    except (ImageError, LabelStudioError):
        raise
    except Exception as error:  # whatever one odd file makes a library raise
        raise ImageError(f"cannot be read ({type(error).__name__}: {error})") from error
