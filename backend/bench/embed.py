"""How fast photos become stored embeddings, against the network alone, and against how it was done before and by others.

The photos are made up (photos.py). Nothing here depends on what they show.
"""

import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.bench.figures import Bench, Row, Skipped
from backend.bench.photos import photo
from model.arithmetic import FLOAT32, STREAMS, Forward, fastest, on_torch
from model.backbone import Backbone, BackboneSpec, load_backbone
from model.embedding_loop import Prepared, batched, embed_images
from model.embedding_store import EmbeddingStore
from model.images import decode
from model.preprocessing import CENTRE_CROP, WHOLE_IMAGE
from model.weights_file import WeightsError

SIZES = {"0.3mp": (640, 480), "1mp": (1152, 864), "12mp": (4000, 3000)}
COUNTS = {"0.3mp": 320, "1mp": 320, "12mp": 64}  # photos of a run, of which DIFFERENT differ
GOALS = {"0.3mp": 0.95, "1mp": 0.9, "12mp": 0.85}
GPU_GOAL = 0.8
DIFFERENT = 16
TRIES = 3  # of which the median counts
PIXELS = 10**9
PLAIN = 24  # photos that are embedded one by one

SPEED = "embed.photos_per_second"
OVER_BEFORE = "embed.whole_over_centre_crop_float32"
OVER_PLAIN, CROP_OVER_PLAIN = "embed.whole_over_plain", "embed.centre_crop_over_plain"
ROWS = (*(f"embed.whole_{size}" for size in SIZES), SPEED, OVER_BEFORE, OVER_PLAIN, CROP_OVER_PLAIN)

Photos = Sequence[bytes]


def measure(bench: Bench) -> Iterator[Row]:
    """The rows that are wanted. Raises Skipped where there are no weights."""
    arithmetic = fastest()
    spec = BackboneSpec.of("resnet50", bench.weights, arithmetic, WHOLE_IMAGE.name)
    cropped = replace(spec, preprocessing=CENTRE_CROP.name)
    try:
        whole, crop = (load_backbone(each, bench.folder / "networks") for each in (spec, cropped))
    except WeightsError as error:
        raise Skipped(str(error)) from error
    for size in SIZES:
        if bench.wants(f"embed.whole_{size}") or (size == "0.3mp" and bench.wants(SPEED)):
            yield from _over_network(bench, whole, size, arithmetic)
    if any(bench.wants(name) for name in (OVER_BEFORE, OVER_PLAIN, CROP_OVER_PLAIN)):
        yield from _over_others(bench, whole, crop)


def _over_network(bench: Bench, backbone: Backbone, size: str, arithmetic: str) -> Iterator[Row]:
    photos = made_up_photos(size)
    prepared = [backbone.prepare(decode(content, PIXELS, backbone.least_side)) for content in photos[:DIFFERENT]]
    runs = [(pipeline(bench.folder, backbone, photos), bare(backbone, prepared, len(photos))) for _ in range(1 + TRIES)][
        1:
    ]  # the first warms up
    ratio = median(ours / network for ours, network in runs)
    speeds = [f"{median(each):.0f}" for each in zip(*runs, strict=True)]
    about = f"the forward pass alone in {arithmetic}, batches of {backbone.batch}: {speeds[0]} of {speeds[1]} photos a second"
    yield Row.at_least(f"embed.whole_{size}", ratio, "x", about, GPU_GOAL if arithmetic == "float16" else GOALS[size])
    if size == "0.3mp":
        yield Row.at_least(SPEED, median(ours for ours, _ in runs), "/s", f"0.3 megapixels each, whole, {arithmetic}")


def _over_others(bench: Bench, whole: Backbone, crop: Backbone) -> Iterator[Row]:
    """Against the product's own way of before, and against a loop as anyone would write it first."""
    photos = made_up_photos("0.3mp")
    eager = _eager(replace(crop.spec, arithmetic=FLOAT32))
    before = Backbone(crop.spec, eager)
    for backbone in (whole, crop, before):
        pipeline(bench.folder, backbone, photos[:DIFFERENT])  # warms up
    plain = median(_one_by_one(eager, photos[:PLAIN]) for _ in range(TRIES))
    old = median(pipeline(bench.folder, before, photos[: len(photos) // 3]) for _ in range(TRIES))
    wholes, crops = (median(pipeline(bench.folder, each, photos) for _ in range(TRIES)) for each in (whole, crop))
    told = f"{old:.1f} a second: centre crops in float32 by torch, in batches"
    yield Row.at_least(OVER_BEFORE, wholes / old, "x", told, 1.5)
    told = f"{plain:.1f} a second: one photo a call, decoded whole, centre crop, float32 by torch"
    yield Row.at_least(OVER_PLAIN, wholes / plain, "x", told, 3)
    yield Row.at_least(CROP_OVER_PLAIN, crops / plain, "x", told, 5)


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


def _one_by_one(embed: Forward, photos: Photos) -> float:
    started = time.perf_counter()
    for content in photos:
        with Image.open(io.BytesIO(content)) as image:
            embed(CENTRE_CROP.prepare(image.convert("RGB"))[None])
    return len(photos) / (time.perf_counter() - started)


def _eager(spec: BackboneSpec) -> Forward:
    """The network in float32 by torch, as the product ran it before it had OpenVINO."""
    import torch

    from model.torch_backbone import Embedder

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return on_torch(Embedder(spec), device, torch.float32)


def made_up_photos(size: str) -> list[bytes]:
    """JPEGs, lying and standing in turns."""
    width, height = SIZES[size]
    shapes = [(width, height), (height, width)]
    different = [photo(number, shapes[number % 2]) for number in range(2 if size == "12mp" else DIFFERENT)]
    return [different[number % len(different)] for number in range(COUNTS[size])]
