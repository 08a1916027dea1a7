"""A project's index where machines share no disk: each has a file of its own, and the store has a snapshot of it.

A job takes the snapshot in before it begins, and puts one there after it has changed something; the server and commands take it
in when they look. The index can be made anew from Label Studio, so nobody waits for a store that is out of reach: what is here
will do, and what could not be sent is sent by the next job on this machine, or found out again.
"""

import gzip
import logging
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from backend.index.index import Index
from backend.index.index_file import IndexUnavailable, SnapshotUnusable
from backend.records.state import PROJECTS, Projects
from model.storage.bucket import Bucket, Changed
from model.storage.files import locked

log = logging.getLogger(__name__)
INDEX, SNAPSHOT = "index.sqlite", "index.sqlite.gz"  # here, and in the store
FRESH_SECONDS, AWAY_SECONDS = 2.0, 10.0  # until whoever only looks asks the store again; where it did not answer
LOOK_SECONDS = 2.0  # for which whoever only looks waits for a snapshot; a large one is here a little later
TRIES = 20  # to put a snapshot there while other machines do
PART = 1 << 20  # bytes packed at once


class SharedIndex:
    """The index in the file `path` of this machine, and its snapshot `name` in `bucket`."""

    def __init__(self, bucket: Bucket, name: str, path: Path) -> None:
        self.path = path
        self._bucket, self._name = bucket, name

    def take(self) -> None:
        """Take in the snapshot, unless that was done already. Raises StoreUnavailable, IndexUnavailable."""
        if not (tag := self._tag()):
            return
        with closing(Index(self.path)) as index:
            if tag != index.exchange.tag():
                with self._alone() as files:
                    self._take(index, *files, ours=False)

    def put(self) -> None:
        """Make what is here the snapshot, with what another one holds that is not here. Raises StoreUnavailable,
        IndexUnavailable."""
        with closing(Index(self.path)) as index, self._alone() as (snapshot, packed):
            for _ in range(TRIES):
                self._take(index, snapshot, packed, ours=True)
                last = index.exchange.write(snapshot)
                with snapshot.open("rb") as source, gzip.open(packed, "wb", compresslevel=1) as target:
                    shutil.copyfileobj(source, target, PART)
                with suppress(Changed):
                    index.exchange.sent(self._bucket.write(self._name, packed, index.exchange.tag()), last)
                    return
        log.warning("%s was changed by other machines again and again: the next job sends what was found out here", self._name)

    def _take(self, index: Index, snapshot: Path, packed: Path, ours: bool) -> None:
        tag = self._tag()
        if tag == index.exchange.tag():
            return
        try:
            if tag and self._bucket.download(self._name, packed):
                with gzip.open(packed, "rb") as source, snapshot.open("wb") as target:
                    shutil.copyfileobj(source, target, PART)
                index.exchange.take(snapshot, tag, ours)
            else:
                index.exchange.sent("")
        except (SnapshotUnusable, gzip.BadGzipFile, EOFError, zlib.error) as error:
            log.warning("%s in the store tells nothing (%s): the next job puts another one there", self._name, error)
            index.exchange.sent(tag)

    def _tag(self) -> str:
        return self._bucket.tag(self._name, at_once=True)

    @contextmanager
    def _alone(self) -> Iterator[tuple[Path, Path]]:
        """No other process of this machine takes or puts a snapshot meanwhile. Gives the files for it: as it is, packed."""
        with locked(self.path.with_name(f".{self.path.name}.snapshot.lock")):
            snapshot, packed = (self.path.with_name(f".{self.path.name}.snapshot{ending}") for ending in ("", ".gz"))
            try:
                yield snapshot, packed
            finally:
                snapshot.unlink(missing_ok=True)
                packed.unlink(missing_ok=True)


class Looks:
    """The snapshots that a process has looked for, so that pages which are asked for one after another do so once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[Path] = set()
        self._next: dict[Path, float] = {}

    def look(self, shared: SharedIndex) -> None:
        """Have the snapshot taken in, and wait for that a little."""
        with self._lock:
            if shared.path in self._under_way or time.monotonic() < self._next.get(shared.path, 0):
                return
            self._under_way.add(shared.path)
        thread = threading.Thread(target=self._take, args=(shared,), daemon=True)
        thread.start()
        thread.join(LOOK_SECONDS)

    def _take(self, shared: SharedIndex) -> None:
        told = False
        try:
            told = _quietly(shared.take)
        finally:
            with self._lock:
                self._under_way.discard(shared.path)
                self._next[shared.path] = time.monotonic() + (FRESH_SECONDS if told else AWAY_SECONDS)


_looks = Looks()


def shared_index(projects: Projects, project: int) -> SharedIndex | None:
    """The index of `project` as machines share it; None where it lies in a DATA_DIR that they share."""
    if not projects.bucket:
        return None
    return SharedIndex(projects.bucket, f"{PROJECTS}/{project}/{SNAPSHOT}", projects.folder(project) / INDEX)


def open_index(projects: Projects, project: int) -> Index:
    """The index of `project`, with what other machines have put into the store as far as that is quick. Raises
    IndexUnavailable."""
    if shared := shared_index(projects, project):
        _looks.look(shared)
    return Index(projects.folder(project) / INDEX)


@contextmanager
def known_index(projects: Projects, project: int) -> Iterator[Index | None]:
    """As `open_index`; None where nobody has read the project yet."""
    if shared := shared_index(projects, project):
        _looks.look(shared)
    path = projects.folder(project) / INDEX
    if not path.exists():
        yield None
        return
    with closing(Index(path)) as index:
        yield index


@contextmanager
def exchanged(shared: SharedIndex | None, index: Index) -> Iterator[None]:
    """A job's work on `index`: it begins with what other machines know, and what it found out is told to them at its end."""
    take_in(shared)
    index.exchange.marking = shared is not None
    try:
        yield
    finally:
        if shared:
            _quietly(partial(_tell, shared, index))


def _tell(shared: SharedIndex, index: Index) -> None:
    if index.changes or index.exchange.is_unsent():
        shared.put()


def take_in(shared: SharedIndex | None) -> None:
    """Take in what other machines know, as far as the store answers; nothing where there is none."""
    if shared:
        _quietly(shared.take)


def put_there(shared: SharedIndex | None) -> None:
    """Tell other machines what is known here, as far as the store answers; nothing where there is none."""
    if shared:
        _quietly(shared.put)


def _quietly(act: Callable[[], None]) -> bool:
    """Do `act`; returns whether it worked. What it raises is logged: the index here will do."""
    try:
        act()
    except (OSError, IndexUnavailable) as error:
        log.warning("The index of this machine is used as it is: %s", error)
        return False
    return True
