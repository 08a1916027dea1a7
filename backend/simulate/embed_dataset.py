"""Embeddings of a simulation's images, cached: a stopped embedding goes on, another run finds them there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.simulate.dataset import Dataset
from backend.simulate.errors import OptionsError
from backend.simulate.folder import Source
from backend.simulate.progress import StepLine
from model.embedding_store import EmbeddingStore, embedding_key

if TYPE_CHECKING:
    from model.embedding_loop import Pixels


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, and why."""

    path: Path
    reason: str


def embed_dataset(
    images: Dataset, backbones: Sequence[Path | None], cache: Path, max_pixels: int, line: StepLine
) -> tuple[list[Dataset], list[Unreadable]]:
    """Embed by each of `backbones` what the cache lacks; returns the same images with the embeddings of each, and those that
    cannot be read.

    An image without which its copies cannot be made leaves with them. Raises WeightsError; ValueError where fewer than two
    classes are left.
    """
    from model.backbone import DIMENSIONS, backbone_name

    stores = [EmbeddingStore(cache / "embeddings" / backbone_name(backbone), DIMENSIONS) for backbone in backbones]
    keys = [embedding_key(0, source.reference) for source in images.sources]
    unreadable: list[Unreadable] = []
    for backbone, store in zip(backbones, stores, strict=True):
        store.refresh()
        missing = set(store.missing(keys))
        todo = [row for row, key in enumerate(keys) if key in missing]
        sources, wanted = [images.sources[row] for row in todo], [keys[row] for row in todo]
        unreadable += _embed(sources, wanted, store, backbone, max_pixels, line)
        store.compact()
    values, embedded = zip(*(store.get(keys) for store in stores), strict=True)
    by_all = np.logical_and.reduce(embedded)
    kept = np.flatnonzero(by_all & by_all[images.originals])
    if len(np.unique(images.labels[kept])) < 2:
        raise OptionsError(f"Images of fewer than two classes can be read; {_first(unreadable)}")
    return [images.only(kept, of_backbone[kept]) for of_backbone in values], unreadable


@contextmanager
def shared(images: Dataset, cache: Path) -> Iterator[Path]:
    """A file with the embeddings for other processes to map, as long as this lasts."""
    path = cache / "shared" / f"{os.getpid()}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob("*.npy"):
        if not _runs(int(left.stem)):  # its run was killed
            left.unlink(missing_ok=True)
    np.save(path, images.embeddings)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _embed(
    sources: Sequence[Source], keys: Sequence[int], store: EmbeddingStore, weights: Path | None, max_pixels: int, line: StepLine
) -> list[Unreadable]:
    """Embed `sources`; returns those that cannot be read."""
    if not sources:
        return []
    from model.backbone import load_backbone
    from model.embedding_loop import Outcome, embed_images

    unreadable: list[Unreadable] = []

    def note(outcomes: "list[Outcome[tuple[Source, int]]]") -> None:
        unreadable.extend(Unreadable(o.item[0].path, str(o.error)) for o in outcomes if o.error)
        line.advance(len(outcomes))

    backbone = load_backbone(weights)
    line.start("embedding images", len(sources))
    embed_images(
        list(zip(sources, keys, strict=True)),
        key=lambda item: item[1],
        read=lambda item: _pixels(item[0], max_pixels),
        embed=backbone.embed,
        store=store,
        note=note,
    )
    store.refresh()
    return unreadable


def _pixels(source: Source, max_pixels: int) -> "Pixels":
    """The image as ResNet50 takes it. Raises ImageError."""
    from model.embedding_loop import Pixels
    from model.images import ImageError, to_tensor

    try:
        return Pixels(to_tensor(source.read(max_pixels), max_pixels))
    except OSError as error:
        raise ImageError(str(error)) from error


def _first(unreadable: Sequence[Unreadable]) -> str:
    """The first file that cannot be read, for an error."""
    return f"the first of {len(unreadable)} that cannot is {unreadable[0].path}: {unreadable[0].reason}"
