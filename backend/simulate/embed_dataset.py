"""Embeddings of a simulation's images, cached: a stopped embedding goes on, another run finds them there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.simulate.dataset import Dataset
from backend.simulate.errors import OptionsError
from backend.simulate.folder import Source
from backend.simulate.progress import StepLine
from model.embeddings.embedding_store import EmbeddingStore, embedding_key
from model.networks import network
from model.networks.backbone import BackboneSpec, backbone_name, load_backbone

if TYPE_CHECKING:
    from model.embeddings.embedding_loop import Prepared
    from model.networks.backbone import Backbone


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, and why."""

    path: Path
    reason: str


def embed_dataset(
    images: Dataset, backbones: Sequence[BackboneSpec], cache: Path, max_pixels: int, line: StepLine
) -> tuple[list[Dataset], list[Unreadable]]:
    """Embed by each of `backbones` what the cache lacks; returns the same images with the embeddings of each, and those that
    cannot be read.

    An image without which its copies cannot be made leaves with them. Raises WeightsError; ValueError where fewer than two
    classes are left.
    """
    made = [embeddings_of(images.sources, spec, cache, max_pixels, line) for spec in backbones]
    values, embedded, failed = zip(*made, strict=True)
    unreadable = [file for files in failed for file in files]
    by_all = np.logical_and.reduce(embedded)
    kept = np.flatnonzero(by_all & by_all[images.originals])
    if len(np.unique(images.labels[kept], axis=0)) < 2:
        raise OptionsError(f"Images of fewer than two classes can be read; {_first(unreadable)}")
    return [images.only(kept, of_backbone[kept]) for of_backbone in values], unreadable


def embeddings_of(
    sources: Sequence[Source], spec: BackboneSpec, cache: Path, max_pixels: int, line: StepLine
) -> tuple[NDArray[np.float16], NDArray[np.bool_], list[Unreadable]]:
    """Embeddings, float16 (n, D), of n images, which of them there are, bool (n,), and the files that cannot be read. What the
    cache lacks is embedded. Raises WeightsError."""
    store = EmbeddingStore(cache / "embeddings" / backbone_name(spec), network(spec.network).width)
    store.refresh()
    keys = [embedding_key(0, source.reference) for source in sources]
    missing = set(store.missing(keys))
    items = [(source, key) for source, key in zip(sources, keys, strict=True) if key in missing]
    unreadable = _embed(items, store, spec, cache / "networks", max_pixels, line) if items else []
    store.compact()
    return *store.get(keys), unreadable


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
    items: Sequence[tuple[Source, int]],
    store: EmbeddingStore,
    spec: BackboneSpec,
    networks: Path,
    max_pixels: int,
    line: StepLine,
) -> list[Unreadable]:
    """Embed images, each with its key; returns those that cannot be read."""
    from model.embeddings.embedding_loop import Outcome, embed_images

    unreadable: list[Unreadable] = []

    def note(outcomes: "list[Outcome[tuple[Source, int]]]") -> None:
        unreadable.extend(Unreadable(o.item[0].path, str(o.error)) for o in outcomes if o.error)
        line.advance(len(outcomes))

    backbone = load_backbone(spec, networks)
    line.start(f"embedding images by {spec.network}, {spec.preprocessing}", len(items))
    embed_images(
        items,
        key=lambda item: item[1],
        read=lambda item: _prepared(item[0], backbone, max_pixels),
        embed=backbone.embed,
        store=store,
        note=note,
        batch=backbone.batch,
    )
    store.refresh()
    return unreadable


def _prepared(source: Source, backbone: "Backbone", max_pixels: int) -> "Prepared":
    """The image as `backbone` takes it. Raises ImageError."""
    from model.embeddings.embedding_loop import Prepared
    from model.embeddings.images import ImageError, decode

    try:
        return Prepared(backbone.prepare(decode(source.read(max_pixels), max_pixels, backbone.least_side)))
    except OSError as error:
        raise ImageError(str(error)) from error


def _first(unreadable: Sequence[Unreadable]) -> str:
    """The first file that cannot be read, for an error."""
    return f"the first of {len(unreadable)} that cannot is {unreadable[0].path}: {unreadable[0].reason}"
