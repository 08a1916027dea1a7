"""The one loop that brings images into an embedding store: readers fetch and decode ahead while the network works.

Where images come from is the caller's business: Label Studio for a project, a folder for a simulation.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.embeddings.embedding_store import EmbeddingStore
from model.embeddings.images import ImageError
from model.networks.arithmetic import STREAMS
from model.storage.documents_in_bucket import FRESH_SECONDS

Item = TypeVar("Item")

SHARD = 128  # images per shard: what a crash can cost, beside those that wait
READERS = min(max(8, os.cpu_count() or 1), 16)  # threads that fetch and decode; an image may take 300 MB meanwhile
LARGEST = float(np.finfo(np.float16).max)  # as which embeddings are stored
AHEAD = 8  # batches of images being read, or read and waiting to be taken: up to 400 KB an image
WAITING = 8  # batches of images that may wait for others of their shape


@dataclass(frozen=True)
class Prepared:
    """An image as the network takes it. pixels: uint8 (H, W, 3); note: what is missing of it, empty for a whole one."""

    pixels: NDArray[np.uint8]
    note: str = ""


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """What became of an item: embedded and stored where `error` is None, else why it cannot be. note: that of its Prepared."""

    item: Item
    error: ImageError | None
    note: str = ""


def embed_images(
    items: Iterable[Item],
    key: Callable[[Item], int],
    read: Callable[[Item], Prepared],
    embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    store: EmbeddingStore,
    note: Callable[[list[Outcome[Item]]], None],
    batch: int,
    progress: Callable[[int], None] = lambda _: None,
    seconds: float = float("inf"),
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Embed `items`, about in their order, for about `seconds` or until `stop`; returns how many were tried.

    items: asked for one by one, some batches ahead; read: an item's image; embed: embeddings, float32 (n, D), of n images of
    one shape, uint8 (n, H, W, 3), called by STREAMS threads; note: told, shard by shard, what became of the items; batch: how
    many images `embed` is given at once; progress: told how many were tried so far.

    An ImageError of `read` costs that item alone. Anything else that it raises speaks of all items: reading stops, what is
    there is stored, and it is raised.
    """
    deadline = time.monotonic() + seconds
    halt = threading.Event()

    def stopped() -> bool:
        return halt.is_set() or time.monotonic() > deadline or stop()

    def attempt(item: Item) -> Prepared | ImageError | None:
        if stopped():
            return None
        try:
            return read(item)
        except ImageError as error:
            return error
        except BaseException:
            halt.set()  # here, so that no other reader begins
            raise

    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(STREAMS) as network:
        outcomes = _Outcomes(key, store, note, progress)
        batches = _Batches(network, embed, batch, outcomes)
        try:
            trouble: list[BaseException] = []
            for item, found in _settled(_ahead(readers, attempt, items, AHEAD * batch, stopped), trouble):
                if isinstance(found, ImageError):
                    outcomes.add(Outcome(item, found))
                else:
                    batches.add(item, found)
            batches.finish()
            if trouble:
                raise trouble[0]
        finally:
            halt.set()
            outcomes.store()
    return outcomes.tried


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items each (itertools.batched, which Python 3.11 lacks)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _ahead(
    readers: ThreadPoolExecutor,
    attempt: Callable[[Item], Any],
    items: Iterable[Item],
    ahead: int,
    stopped: Callable[[], bool],
) -> Iterator[tuple[Item, Future[Any]]]:
    """Items in their order with their readings, `ahead` of which are on their way; no new ones once `stopped`."""
    rest = iter(items)
    waiting = deque((item, readers.submit(attempt, item)) for item in islice(rest, ahead))
    while waiting:
        yield waiting.popleft()
        if not stopped():
            waiting.extend((item, readers.submit(attempt, item)) for item in islice(rest, 1))


def _settled(
    readings: Iterable[tuple[Item, Future[Any]]], trouble: list[BaseException]
) -> Iterator[tuple[Item, Prepared | ImageError]]:
    """The readings that came to an end; what speaks of all items goes to `trouble`, and those not begun are left out."""
    for item, reading in readings:
        if error := reading.exception():
            trouble.append(error)
        elif (found := reading.result()) is not None:
            yield item, found


class _Batches(Generic[Item]):
    """Images that wait for others of their shape, and batches in the network."""

    def __init__(
        self,
        network: ThreadPoolExecutor,
        embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        batch: int,
        outcomes: "_Outcomes[Item]",
    ) -> None:
        self._network, self._embed, self._batch, self._outcomes = network, embed, batch, outcomes
        self._waiting: dict[tuple[int, ...], list[tuple[Item, Prepared]]] = {}
        self._running: deque[tuple[list[tuple[Item, Prepared]], Future[NDArray[np.float32]]]] = deque()

    def add(self, item: Item, found: Prepared) -> None:
        """Take an image; where enough wait, a batch begins."""
        same = self._waiting.setdefault(found.pixels.shape, [])
        same.append((item, found))
        if len(same) == self._batch:
            self._begin(found.pixels.shape)
        elif sum(map(len, self._waiting.values())) > WAITING * self._batch:
            self._begin(max(self._waiting, key=lambda shape: len(self._waiting[shape])))

    def finish(self) -> None:
        """Embed what waits."""
        for shape in list(self._waiting):
            self._begin(shape)
        while self._running:
            self._end()

    def _begin(self, shape: tuple[int, ...]) -> None:
        batch = self._waiting.pop(shape)
        images = np.stack([found.pixels for _, found in batch])
        self._running.append((batch, self._network.submit(self._embed, images)))
        while len(self._running) > STREAMS + 1:  # one is ready for whoever is done first
            self._end()

    def _end(self) -> None:
        batch, computed = self._running.popleft()
        for (item, found), embedding in zip(batch, computed.result(), strict=True):
            self._outcomes.add(Outcome(item, None, found.note), embedding)


class _Outcomes(Generic[Item]):
    """Stores embeddings and tells outcomes, shard by shard."""

    def __init__(
        self,
        key: Callable[[Item], int],
        store: EmbeddingStore,
        note: Callable[[list[Outcome[Item]]], None],
        progress: Callable[[int], None],
    ) -> None:
        self._key, self._store, self._note, self._progress = key, store, note, progress
        self._outcomes: list[Outcome[Item]] = []
        self._embeddings: list[NDArray[np.float32]] = []  # of the items without an error, in their order
        self.tried = 0

    def add(self, outcome: Outcome[Item], embedding: NDArray[np.float32] | None = None) -> None:
        """Take an outcome; an embedding that is not finite as float16 is the image's error."""
        if embedding is not None and not (np.abs(embedding) <= LARGEST).all():  # NaN is not
            outcome = Outcome(outcome.item, ImageError("the network gives no finite embedding for it"))
        elif embedding is not None:
            self._embeddings.append(embedding)
        self._outcomes.append(outcome)
        self.tried += 1
        self._progress(self.tried)
        if len(self._outcomes) >= SHARD:
            self.store()

    def store(self) -> None:
        """Write what there is as one shard, and tell what became of its items."""
        outcomes, embeddings = self._outcomes, self._embeddings
        self._outcomes, self._embeddings = [], []
        keys = [self._key(outcome.item) for outcome in outcomes if outcome.error is None]
        if keys:
            self._store.refresh(FRESH_SECONDS)
            new = ~self._store.has(keys)  # a server embeds what it is asked for without a claim
            self._store.add(np.array(keys)[new].tolist(), np.stack(embeddings)[new])
        if outcomes:
            self._note(outcomes)
