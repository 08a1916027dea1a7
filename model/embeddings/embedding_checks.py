"""Which shards of a store were looked through and hold nothing but finite embeddings, noted beside them, so that not every
process reads all embeddings to know their keys.

A shard that was written to since has another size or time, and is looked through again; so is one of which a damaged row was
read. The note is disposable: without it everything is looked through.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from model.storage.files import read_json, write_json

FILE = ".checked.json"


class Checks:
    """The note of the store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def passed(self, shards: Iterable[Path]) -> set[Path]:
        """Those of `shards` that were looked through, as they are now."""
        noted = self._read()
        return {shard for shard in shards if noted.get(shard.name) == _stamp(shard)}

    def add(self, shards: Iterable[Path]) -> None:
        """Note that `shards` were looked through; those that are gone are forgotten."""
        self._write(self._read() | {shard.name: _stamp(shard) for shard in shards})

    def remove(self, shard: Path) -> None:
        """Let `shard` be looked through again."""
        noted = self._read()
        if noted.pop(shard.name, None):
            self._write(noted)

    def _read(self) -> dict[str, list[int]]:
        with suppress(OSError):
            noted = read_json(self._path)
            return noted if isinstance(noted, dict) else {}
        return {}

    def _write(self, noted: dict[str, list[int]]) -> None:
        with suppress(OSError):  # a folder that may not be written to costs time alone
            write_json(self._path, {name: stamp for name, stamp in noted.items() if (self._path.parent / name).exists()})


def _stamp(shard: Path) -> list[int]:
    """Size and time of the shard's file; none where it is gone."""
    try:
        status = shard.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
