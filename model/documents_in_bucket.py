"""Documents in a bucket, for machines that share no disk."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from model.bucket import Bucket, Content, Folder, StoreUnavailable, Unchanged
from model.documents import Documents

log = logging.getLogger(__name__)
FRESH_SECONDS = 1.0  # for which what was read from a bucket is taken as it was
AWAY_SECONDS = 5.0  # after a bucket was out of reach, until it is asked again for what is known
HURRIED_SECONDS = 0.5  # that whoever hurries waits for what is known to be read again: a webhook has one
AT_ONCE = 8  # documents that are read again side by side

Lock = Callable[[str], AbstractContextManager[object]]  # nobody else holds the lock of this name meanwhile


class Read:
    """What a process has read of a bucket's documents, kept for those that read them again.

    A document that was read less than FRESH_SECONDS ago is taken as it was. Where the bucket is out of reach, so is an older
    one: a server goes on with what it knows, and nobody writes by it, since a write reads anew.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, Content | None]] = {}
        self.folders: dict[str, tuple[float, Folder]] = {}
        self.away_until = 0.0
        self.askers = ThreadPoolExecutor(AT_ONCE, "documents")  # whose threads begin once they are needed
        self.held = threading.local()  # .tags: of the documents that this thread has locked, as it has read them


class DocumentsInBucket(Documents):
    """Those under `prefix` in `bucket`. lock: holds off other machines; where it fails them, as after a loss of its memory, the
    bucket itself refuses what was written by an older state: `write` raises Changed then. hurried: rather fail than wait for a
    bucket that does not answer.

    Every method may raise StoreUnavailable.
    """

    def __init__(self, bucket: Bucket, lock: Lock, prefix: str = "", read: Read | None = None, hurried: bool = False) -> None:
        self._bucket, self._lock, self._prefix, self._hurried = bucket, lock, prefix, hurried
        self._read = read or Read()

    def in_a_hurry(self) -> "DocumentsInBucket":
        """The same, for whoever rather fails than waits for a bucket that does not answer."""
        return DocumentsInBucket(self._bucket, self._lock, self._prefix, self._read, hurried=True)

    def read(self, name: str) -> bytes | None:
        path, now = self._prefix + name, time.monotonic()
        tags = self._tags()
        if path in tags:  # to be changed: as it is now
            content = self._bucket.read(path, at_once=self._hurried)
            tags[path] = content.tag if content else ""
            self._keep(path, content)
            return content.data if content else None
        at, content = self._read.kept.get(path, (None, None))
        if at is not None and now < max(at + FRESH_SECONDS, self._read.away_until):
            return content.data if content else None
        return self._read_again(path, content, known=at is not None)

    def _read_again(self, path: str, content: Content | None, known: bool) -> bytes | None:
        """Ask the bucket for what was read before as `content`, if it is `known`."""
        try:
            with self._may_be_away(known):
                found = self._asked_soon(path, content) if known and self._hurried else self._asked(path, content, known)
        except StoreUnavailable:
            if not known:
                raise
            found = content
        return found.data if found else None

    def _asked(self, path: str, content: Content | None, known: bool) -> Content | None:
        """What the document holds now, which is kept."""
        at = self._read.kept.get(path)
        try:
            found = self._bucket.read(path, content.tag if content else "", at_once=known or self._hurried)
        except Unchanged:
            found = content
        if self._read.kept.get(path) is at:  # nobody has written it meanwhile
            self._keep(path, found)
        return found

    def _asked_soon(self, path: str, content: Content | None) -> Content | None:
        """The same within HURRIED_SECONDS; what comes later is kept for those that read it next."""
        asked: Future[Content | None] = self._read.askers.submit(self._asked, path, content, True)
        try:
            return asked.result(HURRIED_SECONDS)
        except TimeoutError:
            raise StoreUnavailable(f"STORE={self._bucket.url} does not answer within {HURRIED_SECONDS:g} s") from None

    @contextmanager
    def _may_be_away(self, known: bool) -> Iterator[None]:
        """An act after whose failure the bucket counts as away, so that nobody in a hurry asks it again at once. known: what is
        asked for was read before."""
        if self._hurried and not known and time.monotonic() < self._read.away_until:
            raise StoreUnavailable(f"STORE={self._bucket.url} did not answer a moment ago: see whether it does")
        try:
            yield
        except StoreUnavailable as error:
            self._read.away_until = time.monotonic() + AWAY_SECONDS
            if known:
                log.warning("What was read before is used for now: %s", error)
            raise

    def has(self, name: str) -> bool:
        _, content = self._read.kept.get(self._prefix + name, (0.0, None))
        return content is not None or self.read(name) is not None

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
        self._read.folders.clear()
        super().clear(folder)

    def _folder(self, path: str) -> Folder:
        """What lies in a folder, with the same patience as what a document holds."""
        at, found = self._read.folders.get(path, (None, Folder([], [])))
        now = time.monotonic()
        if at is not None and not self._tags() and now < max(at + FRESH_SECONDS, self._read.away_until):
            return found
        known = at is not None and not self._tags()
        try:
            with self._may_be_away(known):
                found = self._bucket.folder(path, at_once=known or self._hurried)
        except StoreUnavailable:
            if not known:
                raise
            return found
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
        return DocumentsInBucket(self._bucket, self._lock, f"{self._prefix}{folder}/", self._read, self._hurried)

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
