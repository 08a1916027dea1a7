"""Documents in a bucket, for machines that share no disk."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from enum import Enum

from model.storage.bucket import Bucket, Content, Folder, StoreUnavailable, Unchanged
from model.storage.documents import Documents

log = logging.getLogger(__name__)
FRESH_SECONDS = 1.0  # for which a server takes what was read from a bucket as it was
AWAY_SECONDS = 5.0  # after a bucket was out of reach, until it is asked again for what is known
SERVING_SECONDS = 0.5  # that a server waits for what is known to be read again: a webhook has one
AT_ONCE = 8  # documents that are read again side by side

Lock = Callable[[str], AbstractContextManager[object]]  # nobody else holds the lock of this name meanwhile


class Haste(Enum):
    """How somebody takes a bucket that is slow, or does not answer."""

    PATIENT = "waits for it, and reads what it holds now"
    HURRIED = "fails rather than waits, and reads what it holds now"
    SERVING = "fails rather than waits; what was read a second ago, or before the bucket was out of reach, will do"


class _Slow(StoreUnavailable):
    """An answer that did not come in time, and may still come."""


class Read:
    """What a process has read of a bucket's documents, for those that read them again. A server goes on with it while the
    bucket is out of reach; nobody writes by it, since a write reads anew."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, Content | None]] = {}
        self.folders: dict[str, tuple[float, Folder]] = {}
        self.away_until = 0.0  # for those to whom what is known will do
        self.silent_until = 0.0  # for the others
        self.askers = ThreadPoolExecutor(AT_ONCE, "documents")  # whose threads begin once they are needed
        self.held = threading.local()  # .tags: of the documents that this thread has locked, as it has read them


class DocumentsInBucket(Documents):
    """Those under `prefix` in `bucket`. lock: holds off other machines; where it fails them, as after a loss of its memory, the
    bucket itself refuses what was written by an older state: `write` raises Changed then.

    Every method may raise StoreUnavailable.
    """

    def __init__(
        self, bucket: Bucket, lock: Lock, prefix: str = "", read: Read | None = None, haste: Haste = Haste.PATIENT
    ) -> None:
        self._bucket, self._lock, self._prefix, self._haste = bucket, lock, prefix, haste
        self._read = read or Read()
        self._at_once, self._serving = haste is not Haste.PATIENT, haste is Haste.SERVING

    def taken_with(self, haste: Haste) -> "DocumentsInBucket":
        """The same, for somebody in such a haste."""
        return DocumentsInBucket(self._bucket, self._lock, self._prefix, self._read, haste)

    def read(self, name: str) -> bytes | None:
        path, now, tags = self._prefix + name, time.monotonic(), self._tags()
        if path in tags:  # to be changed: as it is now
            content = self._bucket.read(path, at_once=self._at_once)
            tags[path] = content.tag if content else ""
            self._keep(path, content)
            return content.data if content else None
        at, content = self._read.kept.get(path, (None, None))
        will_do = self._serving and at is not None
        if not (at is not None and will_do and now < max(at + FRESH_SECONDS, self._read.away_until)):
            try:
                with self._may_be_away(will_do):
                    content = self._asked_soon(path, content) if will_do else self._asked(path, content)
            except StoreUnavailable:
                if not will_do:
                    raise
        return content.data if content else None

    def _asked(self, path: str, content: Content | None) -> Content | None:
        """What the document holds now, which is kept. content: what it held when it was read before."""
        at = self._read.kept.get(path)
        try:
            found = self._bucket.read(path, content.tag if content else "", at_once=self._at_once)
        except Unchanged:
            found = content
        if self._read.kept.get(path) is at:  # nobody has written it meanwhile
            self._keep(path, found)
        return found

    def _asked_soon(self, path: str, content: Content | None) -> Content | None:
        """The same within SERVING_SECONDS; what comes later is kept for those that read it next."""
        asked: Future[Content | None] = self._read.askers.submit(self._asked, path, content)
        try:
            return asked.result(SERVING_SECONDS)
        except TimeoutError:
            raise _Slow(f"STORE={self._bucket.url} does not answer within {SERVING_SECONDS:g} s") from None

    @contextmanager
    def _may_be_away(self, will_do: bool) -> Iterator[None]:
        """An act after whose failure the bucket is left alone for a while by those who do not wait for it. will_do: what is
        known will do."""
        if self._at_once and not will_do and time.monotonic() < self._read.silent_until:
            raise StoreUnavailable(f"STORE={self._bucket.url} did not answer a moment ago: see whether it does")
        try:
            yield
        except StoreUnavailable as error:
            self._read.away_until = time.monotonic() + AWAY_SECONDS
            if not isinstance(error, _Slow):
                self._read.silent_until = self._read.away_until
            if will_do:
                log.warning("What was read before is used for now: %s", error)
            raise

    def has(self, name: str) -> bool:
        _, content = self._read.kept.get(self._prefix + name, (0.0, None))
        return (self._serving and content is not None) or self.read(name) is not None

    def write(self, name: str, content: bytes) -> None:
        path, tags = self._prefix + name, self._tags()
        tag = self._bucket.write(path, content, tags.get(path) if path in tags else None)
        if path in tags:
            tags[path] = tag
        self._keep(path, Content(content, tag))

    def remove(self, name: str) -> None:
        self._bucket.remove(self._prefix + name)
        self._keep(self._prefix + name, None)

    def names(self, folder: str = "") -> list[str]:
        return list(self._folder(f"{self._prefix}{folder}".rstrip("/")).names)

    def folders(self) -> list[str]:
        return list(self._folder(self._prefix.rstrip("/")).folders)

    def clear(self, folder: str = "") -> None:
        self._read.folders.clear()  # none is left out that was written a moment ago
        super().clear(folder)

    def _folder(self, path: str) -> Folder:
        """What lies in a folder, with the same patience as what a document holds."""
        at, found = self._read.folders.get(path, (None, Folder([], [])))
        now, will_do = time.monotonic(), self._serving and at is not None and not self._tags()
        if at is not None and will_do and now < max(at + FRESH_SECONDS, self._read.away_until):
            return found
        try:
            with self._may_be_away(will_do):
                found = self._bucket.folder(path, at_once=self._at_once)
        except StoreUnavailable:
            if not will_do:
                raise
        else:
            self._read.folders[path] = now, found
        return found

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        path, tags = self._prefix + name, self._tags()
        with self._lock(path):
            tags[path] = ""
            try:
                self.read(name)
                yield
            finally:
                del tags[path]

    def within(self, folder: str) -> "DocumentsInBucket":
        return DocumentsInBucket(self._bucket, self._lock, f"{self._prefix}{folder}/", self._read, self._haste)

    def place(self, name: str = "") -> str:
        return f"{self._bucket.url}/{self._prefix}{name}".rstrip("/")

    def forget(self) -> None:
        for path in self._bucket.clear(self._prefix.rstrip("/")):
            self._keep(path, None)

    def _keep(self, path: str, content: Content | None) -> None:
        _, before = self._read.kept.get(path, (0.0, None))
        if (before is None) != (content is None):
            self._read.folders.clear()
        self._read.kept[path] = time.monotonic(), content

    def _tags(self) -> dict[str, str]:
        if not hasattr(self._read.held, "tags"):
            self._read.held.tags = {}
        tags: dict[str, str] = self._read.held.tags
        return tags
