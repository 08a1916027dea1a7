"""The one loop that brings images into an embedding store: readers fetch and decode ahead while ResNet50 works.

Where images come from is the caller's business: Label Studio for a project, a folder for a simulation.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from model.embedding_store import EmbeddingStore
from model.images import ImageError

Item = TypeVar("Item")

BATCH = 16  # images through the network at once
SHARD = 128  # images per shard: what a crash can cost
READERS = 8  # threads that fetch and decode
LARGEST = float(np.finfo(np.float16).max)  # as which embeddings are stored
AHEAD = 64  # images being read, or read and waiting for the network: 600 KB each


@dataclass(frozen=True)
class Pixels:
    """An image as ResNet50 takes it. values: float32 (3, 224, 224); note: what is missing of it, empty for a whole one."""

    values: torch.Tensor
    note: str = ""


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """What became of an item: embedded and stored where `error` is None, else why it cannot be. note: that of its Pixels."""

    item: Item
    error: ImageError | None
    note: str = ""


def embed_images(
    items: Sequence[Item],
    key: Callable[[Item], int],
    read: Callable[[Item], Pixels],
    embed: Callable[[torch.Tensor], NDArray[np.float32]],
    store: EmbeddingStore,
    note: Callable[[list[Outcome[Item]]], None],
    progress: Callable[[int], None] = lambda _: None,
    seconds: float = float("inf"),
) -> int:
    """Embed `items` in their order for about `seconds`; returns how many were tried.

    read: an item's image; embed: embeddings (n, D) of images (n, 3, 224, 224); note: told, shard by
    shard, what became of the items; progress: told how many were tried so far.

    An ImageError of `read` costs that item alone. Anything else that it raises speaks of all items: reading stops, what is
    there is stored, and it is raised.
    """
    deadline = time.monotonic() + seconds
    halt = threading.Event()
    outcomes = _Outcomes(key, embed, store, note)
    tried = 0

    def stopped() -> bool:
        return halt.is_set() or time.monotonic() > deadline

    def attempt(item: Item) -> Pixels | ImageError | None:
        if stopped():
            return None
        try:
            return read(item)
        except ImageError as error:
            return error
        except BaseException:
            halt.set()  # here, so that no other reader begins
            raise

    with ThreadPoolExecutor(READERS) as readers:
        try:
            trouble: list[BaseException] = []
            for batch in batched(_settled(_ahead(readers, attempt, items, stopped), trouble), BATCH):
                outcomes.take(batch)
                tried += len(batch)
                progress(tried)
            if trouble:
                raise trouble[0]
        finally:
            halt.set()
            outcomes.store()
    return tried


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most `size` items each (itertools.batched, which Python 3.11 lacks)."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _ahead(
    readers: ThreadPoolExecutor, attempt: Callable[[Item], Any], items: Sequence[Item], stopped: Callable[[], bool]
) -> Iterator[tuple[Item, Future[Any]]]:
    """Items in their order with their readings, AHEAD of which are on their way; no new ones once `stopped`."""
    rest = iter(items)
    waiting = deque((item, readers.submit(attempt, item)) for item in islice(rest, AHEAD))
    while waiting:
        yield waiting.popleft()
        if not stopped():
            waiting.extend((item, readers.submit(attempt, item)) for item in islice(rest, 1))


def _settled(
    readings: Iterable[tuple[Item, Future[Any]]], trouble: list[BaseException]
) -> Iterator[tuple[Item, Pixels | ImageError]]:
    """The readings that came to an end; what speaks of all items goes to `trouble`, and those not begun are left out."""
    for item, reading in readings:
        if error := reading.exception():
            trouble.append(error)
        elif (found := reading.result()) is not None:
            yield item, found


class _Outcomes(Generic[Item]):
    """Embeds batch by batch and stores shard by shard."""

    def __init__(
        self,
        key: Callable[[Item], int],
        embed: Callable[[torch.Tensor], NDArray[np.float32]],
        store: EmbeddingStore,
        note: Callable[[list[Outcome[Item]]], None],
    ) -> None:
        self._key, self._embed, self._store, self._note = key, embed, store, note
        self._outcomes: list[Outcome[Item]] = []
        self._embeddings: list[NDArray[np.float32]] = []  # of the items without an error, in their order

    def take(self, batch: list[tuple[Item, Pixels | ImageError]]) -> None:
        """Embed what can be of `batch`; an embedding that is not finite as float16 is the image's error."""
        images = [found.values for _, found in batch if isinstance(found, Pixels)]
        embeddings: Iterator[NDArray[np.float32]] = iter(self._embed(torch.stack(images)) if images else ())
        for item, found in batch:
            if isinstance(found, ImageError):
                self._outcomes.append(Outcome(item, found))
            elif (np.abs(embedding := next(embeddings)) <= LARGEST).all():  # NaN is not
                self._outcomes.append(Outcome(item, None, found.note))
                self._embeddings.append(embedding)
            else:
                self._outcomes.append(Outcome(item, ImageError("ResNet50 gives no finite embedding for it")))
        if len(self._outcomes) >= SHARD:
            self.store()

    def store(self) -> None:
        """Write what there is as one shard, and tell what became of its items."""
        outcomes, embeddings = self._outcomes, self._embeddings
        self._outcomes, self._embeddings = [], []
        keys = [self._key(outcome.item) for outcome in outcomes if outcome.error is None]
        if keys:
            self._store.add(keys, np.stack(embeddings))
        if outcomes:
            self._note(outcomes)
