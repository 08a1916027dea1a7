"""Small files that many processes read and change, each whole or not at all: on a disk that they share, or in a bucket."""

import json
import logging
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from model.bucket import Bucket, Content, Folder, StoreUnavailable, Unchanged
from model.files import locked, write_atomically

log = logging.getLogger(__name__)
FRESH_SECONDS = 1.0  # for which what was read from a bucket is taken as it was
AWAY_SECONDS = 5.0  # after a bucket was out of reach, until it is asked again for what is known

Lock = Callable[[str], AbstractContextManager[object]]  # nobody else holds the lock of this name meanwhile


class Documents(ABC):
    """A folder of documents. Names may lead into folders below it: "groups/asked.jsonl"."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """What the document holds; None where there is none."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a document, or was one a moment ago."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Make `content` the document."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove it; one that is gone already is fine."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Names of the documents right in `folder`, in order."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Names of the folders right below, in order."""

    @abstractmethod
    def locked(self, name: str) -> AbstractContextManager[object]:
        """Nobody else is between reading and writing the document `name`, here or elsewhere: it is read as it is now."""

    @abstractmethod
    def within(self, folder: str) -> "Documents":
        """The documents of a folder below."""

    @abstractmethod
    def place(self, name: str = "") -> str:
        """Where the document `name`, or all of them, lie, for people."""

    @abstractmethod
    def forget(self) -> None:
        """Remove all that lies here, in folders below too."""

    def read_text(self, name: str) -> str:
        """What it holds as text, "" where there is none; bytes that are no text are replaced."""
        return (self.read(name) or b"").decode(errors="replace")

    def read_json(self, name: str) -> Any | None:
        """The JSON that it holds, None where there is none or it is no JSON."""
        with suppress(ValueError, RecursionError):
            return json.loads(self.read(name) or b"")
        return None

    def write_json(self, name: str, content: Any) -> None:
        """Make `content`, as JSON, the document."""
        self.write(name, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())

    def clear(self, folder: str = "") -> None:
        """Remove all documents right in `folder`."""
        for name in self.names(folder):
            self.remove(f"{folder}/{name}" if folder else name)


class DocumentsOnDisk(Documents):
    """Those in `folder` on a disk. Hidden files are none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def has(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def write(self, name: str, content: bytes) -> None:
        write_atomically(self._folder / name, lambda beside: _fill(beside, content))

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        self._lock(name).unlink(missing_ok=True)

    def names(self, folder: str = "") -> list[str]:
        return sorted(path.name for path in (self._folder / folder).glob("[!.]*") if path.is_file())

    def folders(self) -> list[str]:
        return sorted(path.name for path in self._folder.glob("[!.]*") if path.is_dir())

    def locked(self, name: str) -> AbstractContextManager[object]:
        return locked(self._lock(name))

    def within(self, folder: str) -> "DocumentsOnDisk":
        return DocumentsOnDisk(self._folder / folder)

    def place(self, name: str = "") -> str:
        return str(self._folder / name)

    def forget(self) -> None:
        shutil.rmtree(self._folder)

    def _lock(self, name: str) -> Path:
        path = self._folder / name
        return path.with_name(f".{path.name}.lock")


class Read:
    """What a process has read of a bucket's documents, kept for those that read them again.

    A document that was read less than FRESH_SECONDS ago is taken as it was. Where the bucket is out of reach, so is an older
    one: a server goes on with what it knows, and nobody writes by it, since a write reads anew.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, Content | None]] = {}
        self.folders: dict[str, tuple[float, Folder]] = {}
        self.away_until = 0.0
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
                content = self._bucket.read(path, content.tag if content else "", at_once=known or self._hurried)
        except Unchanged:
            pass
        except StoreUnavailable:
            if not known:
                raise
            return content.data if content else None
        self._keep(path, content)
        return content.data if content else None

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


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)
