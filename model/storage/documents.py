"""Small files that many processes read and change, each whole or not at all: on a disk that they share, or in a bucket (see
model/storage/documents_in_bucket.py)."""

import json
import shutil
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from model.storage.files import locked, write_atomically


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


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)
