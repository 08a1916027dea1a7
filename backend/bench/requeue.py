"""How soon new labels become a ranked and versioned queue, where the embeddings of all images are there.

Everything between Label Studio's answers is real, and on disk: the index, the embeddings, the head, the queue, the version.
Only the images are made up, in clusters: how long a round takes does not depend on what they show.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.bench.embed import PIXELS, bare, made_up_photos
from backend.bench.figures import Bench, Row, Skipped
from backend.index.index import Index
from backend.labelstudio.labelling_config import Target, parse_label_config
from backend.learning.rounds import Rules, rank, train
from backend.learning.slots import slot_order
from backend.project.arrays import labelled_and_pool
from backend.records.sample import KeptSample
from backend.settings import Settings
from model.embeddings.embedding_store import EmbeddingStore, embedding_key
from model.embeddings.images import decode
from model.networks.arithmetic import fastest
from model.networks.backbone import BackboneSpec, load_backbone
from model.networks.weights_file import WeightsError
from model.storage.documents import DocumentsOnDisk
from model.version_store import Version, VersionStore

SIZES = (1_000, 10_000, 100_000)  # images
NAMES = tuple(f"{size // 1000}k" for size in SIZES)
ROWS = (*(f"requeue.{name}" for name in NAMES), *(f"requeue.seconds_{name}" for name in NAMES), "requeue.growth")
GOAL_AT, GOAL = 10_000, 100.0
LABELS, CLASSES, DIMENSIONS, CLUSTERS = 300, 5, 2048, 60
SHARD = 512  # images
TRIES = 3  # of which the fastest counts
DIFFERENT = 8  # photos
PHOTOS = "0.3mp"
SAMPLE = 64  # images that the network sees
CONFIG = f"""<View><Image name="image" value="$image"/><Choices name="class" toName="image">
{"".join(f'<Choice value="{number}"/>' for number in range(CLASSES))}</Choices></View>"""


def measure(bench: Bench) -> Iterator[Row]:
    """Seconds of a round at each size, over those that the network alone would take for all images; and how much the seconds
    grow from the smallest pool to the largest, over how much the pool does. Raises Skipped where there are no weights."""
    speed = _network_speed(bench) if any(bench.wants(f"requeue.{name}") for name in NAMES) else 0.0
    growth = bench.wants("requeue.growth")
    seconds = {}
    for size, name in zip(SIZES, NAMES, strict=True):
        rows = f"requeue.{name}", f"requeue.seconds_{name}"
        if not (any(map(bench.wants, rows)) or (growth and size in (SIZES[0], SIZES[-1]))):
            continue
        folder = bench.folder / name
        make_project(folder, size)
        seconds[size] = min(_in_a_process(folder) for _ in range(TRIES))
        bench.say(f"requeue: {size} images in {seconds[size]:.2f} s")
        if bench.wants(rows[0]):
            against = f"the network alone at {speed:.0f} photos a second, of {SAMPLE} photos, extrapolated to {size}"
            yield Row.at_least(rows[0], size / speed / seconds[size], "x", against, GOAL if size == GOAL_AT else None)
        conditions = f"{size} x {DIMENSIONS}, {LABELS} labels, {CLASSES} classes, best of {TRIES}"
        yield Row.at_most(rows[1], seconds[size], "s", conditions)
    if growth:
        growth_of_pool, growth_of_time = SIZES[-1] / SIZES[0], seconds[SIZES[-1]] / seconds[SIZES[0]]
        against = f"linear growth from {SIZES[0]} to {SIZES[-1]} images"
        yield Row.at_most("requeue.growth", growth_of_time / growth_of_pool, "x", against, 1.0)


def _network_speed(bench: Bench) -> float:
    """Photos a second of the network alone: they are decoded and prepared already."""
    try:
        spec = BackboneSpec.of("resnet50", bench.weights, fastest())
        backbone = load_backbone(spec, bench.folder / "networks")
    except WeightsError as error:
        raise Skipped(str(error)) from error
    prepared = [backbone.prepare(decode(photo, PIXELS, backbone.least_side)) for photo in made_up_photos(PHOTOS)[:DIFFERENT]]
    return max(bare(backbone, prepared, SAMPLE) for _ in range(TRIES))


def make_project(folder: Path, size: int, labels: int = LABELS, shard: int = SHARD) -> None:
    """A project of `size` images in `folder`: its index, in which `labels` are labelled, and the embeddings of all of them."""
    target, random = parse_label_config(CONFIG), np.random.default_rng(0)
    folder.mkdir(parents=True)
    centres = random.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    clusters = random.integers(CLUSTERS, size=size)
    labelled = np.zeros(size, bool)
    labelled[slot_order(np.arange(1, size + 1))[: labels // 3]] = True  # random slots
    labelled[random.permutation(np.flatnonzero(~labelled))[: labels - labels // 3]] = True
    store, index = EmbeddingStore(folder / "embeddings", DIMENSIONS), Index(folder / "index.sqlite")
    for start in range(0, size, shard):
        rows = range(start, min(start + shard, size))
        vectors = centres[clusters[rows]] + random.standard_normal((len(rows), DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.add([embedding_key(row + 1, _reference(row)) for row in rows], vectors)
        index.update((_task(row, int(clusters[row]) % CLASSES if labelled[row] else None) for row in rows), target)
    index.close()


def _reference(row: int) -> str:
    return f"/data/upload/1/photo-{row}.jpg"


def _task(row: int, label: int | None) -> dict[str, object]:
    """A task as Label Studio lists it."""
    choice = {"from_name": "class", "to_name": "image", "type": "choices", "value": {"choices": [str(label)]}}
    answer = {"id": row, "was_cancelled": False, "result": [choice], "completed_by": 1}
    return {"id": row + 1, "data": {"image": _reference(row)}, "annotations": [] if label is None else [answer]}


def _in_a_process(folder: Path) -> float:
    """Seconds of a round in a process of its own, as those of a worker are: nothing is there from the last one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_round_seconds, folder).result()


def _round_seconds(folder: Path) -> float:
    warm_up()
    started = time.perf_counter()
    requeue(folder, parse_label_config(CONFIG))
    return time.perf_counter() - started


def requeue(folder: Path, target: Target) -> None:
    """What a round does between Label Studio's answers for the project in `folder`."""
    settings = Settings()
    index = Index(folder / "index.sqlite")
    try:
        draw = partial(KeptSample(DocumentsOnDisk(folder)).draw, share=settings.explore)
        store = EmbeddingStore(folder / "embeddings", DIMENSIONS)
        labelled, pool = labelled_and_pool(index.tasks.arrays(), target.classes, store, draw, all_unseen)
        head, metrics = train(labelled, pool, len(target.classes))
        versions = VersionStore(folder / "versions")
        name = versions.new_name()
        rules = made_up_rules(settings)
        ranking = rank(head, pool, labelled, rules, name)
        index.published.add(name, ranking.tasks, ranking.places, ranking.slots)
        version = Version(
            name=name,
            created=time.time(),
            target=target.as_dict(),
            backbone="made-up",
            strategy=rules.strategy,
            head=head,
            tasks=labelled.tasks,
            labels=labelled.labels,
            newest_task=index.tasks.newest(),
            metrics=metrics,
        )
        versions.write(version)
    finally:
        index.close()


def made_up_rules(settings: Settings) -> Rules:
    """How the project's queue is drawn."""
    return Rules(settings.strategy, settings.queue_size, settings.explore, settings.retrain_after)


def all_unseen(tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """No image was seen by the network that made its embedding."""
    return np.ones(len(tasks), bool)


def warm_up() -> None:
    """Let libraries load what they load at their first use."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder) / "small", 300)
        requeue(Path(folder) / "small", parse_label_config(CONFIG))
