"""How fast photos become stored embeddings, by each network that is asked for: against the network alone, and against how it
was done before and by others.

The photos are made up (photos.py). Nothing here depends on what they show.
"""

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.bench.figures import Bench, Row, Skipped
from backend.bench.photos import photo
from model.embeddings.embedding_loop import Prepared, batched, embed_images
from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.images import decode
from model.networks.arithmetic import FLOAT16, FLOAT32, STREAMS, Forward, on_torch
from model.networks.backbone import Backbone, BackboneSpec, load_backbone, standard_of
from model.networks.weights_file import WeightsError

SIZES = {"0.3mp": (640, 480), "1mp": (1152, 864), "12mp": (4000, 3000)}
COUNTS = {"0.3mp": 320, "1mp": 320, "12mp": 64}  # photos of a run, of which DIFFERENT differ
SMALL = "0.3mp"
DIFFERENT = 16
TRIES = 3  # of which the median counts
PIXELS = 10**9
PLAIN = 24  # photos that are embedded one by one

RESNET50 = "resnet50"  # the network for which goals were set, and whose rows do without its name
GOALS = {"0.3mp": 0.95, "1mp": 0.9, "12mp": 0.85}
GPU_GOAL = 0.8
OVER_BEFORE, CROP_OVER_PLAIN = "embed.whole_over_centre_crop_float32", "embed.centre_crop_over_plain"

Photos = Sequence[bytes]


@dataclass(frozen=True)
class Names:
    """What the rows of a network are called. over_network: by the size of photos; more: those of ResNet50 alone."""

    over_network: dict[str, str]
    photos_per_second: str
    over_plain: str
    more: tuple[str, ...] = ()

    @classmethod
    def of(cls, network: str) -> "Names":
        """Those of `network`, such as "embed.vgg16.photos_per_second"."""
        if network == RESNET50:
            whole = {size: f"embed.whole_{size}" for size in SIZES}
            return cls(whole, "embed.photos_per_second", "embed.whole_over_plain", (OVER_BEFORE, CROP_OVER_PLAIN))
        start = f"embed.{network}"
        over_network = {size: f"{start}.over_network_{size}" for size in SIZES}
        return cls(over_network, f"{start}.photos_per_second", f"{start}.over_plain")


def rows_of(networks: Iterable[str]) -> tuple[str, ...]:
    """The names of all rows of `networks`."""
    return tuple(
        row
        for names in map(Names.of, networks)
        for row in (*names.over_network.values(), names.photos_per_second, names.over_plain, *names.more)
    )


def measure(bench: Bench) -> Iterator[Row]:
    """The rows that are wanted, network by network. Raises Skipped at the end where one has no weights here."""
    lacking = []
    for network, spec in bench.backbones.items():
        if any(map(bench.wants, rows_of([network]))):
            try:
                backbone = load_backbone(spec, bench.folder / "networks")
            except WeightsError as error:
                lacking.append(f"{network}: {error}")
                continue
            yield from _measure(bench, network, backbone)
    if lacking:
        raise Skipped("; ".join(lacking))


def _measure(bench: Bench, network: str, backbone: Backbone) -> Iterator[Row]:
    names = Names.of(network)
    for size, row in names.over_network.items():
        if bench.wants(row) or (size == SMALL and bench.wants(names.photos_per_second)):
            yield from _over_network(bench.folder, network, backbone, size)
    if any(map(bench.wants, (names.over_plain, *names.more))):
        yield from _over_others(bench.folder, network, backbone)


def _over_network(folder: Path, network: str, backbone: Backbone, size: str) -> Iterator[Row]:
    names, arithmetic = Names.of(network), backbone.spec.arithmetic
    photos = made_up_photos(size)
    prepared = [backbone.prepare(decode(content, PIXELS, backbone.least_side)) for content in photos[:DIFFERENT]]
    runs = [(pipeline(folder, backbone, photos), bare(backbone, prepared, len(photos))) for _ in range(1 + TRIES)]
    runs = runs[1:]  # the first warms up
    ratio = median(ours / alone for ours, alone in runs)
    speeds = [f"{median(each):.0f}" for each in zip(*runs, strict=True)]
    against = f"the forward pass alone in {arithmetic}, batches of {backbone.batch}: {speeds[0]} of {speeds[1]} photos a second"
    goal = GPU_GOAL if arithmetic == FLOAT16 else GOALS[size]
    yield Row.at_least(names.over_network[size], ratio, "x", against, goal if network == RESNET50 else None)
    if size == SMALL:
        conditions = f"0.3 megapixels each, {backbone.spec.preprocessing}, {arithmetic}"
        yield Row.at_least(names.photos_per_second, median(ours for ours, _ in runs), "/s", conditions)


def _over_others(folder: Path, network: str, backbone: Backbone) -> Iterator[Row]:
    """Against a loop as anyone would write it first; and with ResNet50, against the product's own way of before."""
    photos = made_up_photos(SMALL)
    standard = standard_of(backbone.spec)
    eager = Backbone(standard, _eager(replace(standard, arithmetic=FLOAT32)))
    ours = _speed(folder, backbone, photos)
    _one_by_one(eager, photos[:1])  # warms up
    plain = median(_one_by_one(eager, photos[:PLAIN]) for _ in range(TRIES))
    against = f"{plain:.1f} a second: one photo a call, decoded whole, {standard.preprocessing}, float32 by torch"
    yield Row.at_least(Names.of(network).over_plain, ours / plain, "x", against, 3 if network == RESNET50 else None)
    if network == RESNET50:
        crops = _speed(folder, load_backbone(standard, folder / "networks"), photos)
        yield Row.at_least(CROP_OVER_PLAIN, crops / plain, "x", against, 5)
        before = _speed(folder, eager, photos[: len(photos) // 3])
        against = f"{before:.1f} a second: centre crops in float32 by torch, in batches"
        yield Row.at_least(OVER_BEFORE, ours / before, "x", against, 1.5)


def _speed(folder: Path, backbone: Backbone, photos: Photos) -> float:
    """Photos a second by the product's own loop, the median of several runs."""
    pipeline(folder, backbone, photos[:DIFFERENT])  # warms up
    return median(pipeline(folder, backbone, photos) for _ in range(TRIES))


def pipeline(folder: Path, backbone: Backbone, photos: Photos) -> float:
    """Photos a second from JPEG bytes to stored embeddings, by the product's own loop."""
    store = EmbeddingStore(folder / f"{time.monotonic_ns()}", backbone.width)
    started = time.perf_counter()
    embed_images(
        range(len(photos)),
        key=lambda number: number,
        read=lambda number: Prepared(backbone.prepare(decode(photos[number], PIXELS, backbone.least_side))),
        embed=backbone.embed,
        store=store,
        note=lambda _: None,
        batch=backbone.batch,
    )
    return len(photos) / (time.perf_counter() - started)


def bare(backbone: Backbone, prepared: Sequence[NDArray[np.uint8]], count: int) -> float:
    """Photos a second through the network alone, as many at once as in the product's loop."""
    by_shape: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    for number in range(count):
        pixels = prepared[number % len(prepared)]
        by_shape.setdefault(pixels.shape, []).append(pixels)
    batches = [np.stack(batch) for same in by_shape.values() for batch in batched(same, backbone.batch)]
    started = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as network:
        list(network.map(backbone.embed, batches))
    return count / (time.perf_counter() - started)


def _one_by_one(backbone: Backbone, photos: Photos) -> float:
    started = time.perf_counter()
    for content in photos:
        with Image.open(io.BytesIO(content)) as image:
            backbone.embed(backbone.prepare(image.convert("RGB"))[None])
    return len(photos) / (time.perf_counter() - started)


def _eager(spec: BackboneSpec) -> Forward:
    """The network in float32 by torch, as the product ran it before it had OpenVINO."""
    import torch

    from model.networks.torch_backbone import Embedder

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return on_torch(Embedder(spec), device, torch.float32)


def made_up_photos(size: str) -> list[bytes]:
    """JPEGs, lying and standing in turns."""
    width, height = SIZES[size]
    shapes = [(width, height), (height, width)]
    different = [photo(number, shapes[number % 2]) for number in range(2 if size == "12mp" else DIFFERENT)]
    return [different[number % len(different)] for number in range(COUNTS[size])]
