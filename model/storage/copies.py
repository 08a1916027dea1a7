"""How much of a disk copies of what lies in a bucket may take: those that were not used for longest make room.

What is thrown away is fetched again when it is needed. A project whose copies are in use on this machine keeps all of them.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

NOTE = ".json"  # files so small that they stay
LEFT_SECONDS = 86_400  # after which a file that was on its way counts as left behind by a killed process
LOCK = ".in-use"
PLACES = ("embeddings/*/*", "versions/*/*", "backbones/*")  # of copies in a project's folder


class _Copy(NamedTuple):
    used: int
    size: int
    path: Path


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """The copies in a project's `folder` stay meanwhile, whichever process of this machine trims them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def trim(root: Path, most: float) -> int:
    """Throw away copies in the folders of projects in `root` until they take at most `most` bytes, but none that are in use;
    returns how many bytes were freed."""
    _sweep(root)
    copies = {folder: list(_copies(folder)) for folder in root.glob("[0-9]*")}
    over = sum(copy.size for found in copies.values() for copy in found) - most
    if over <= 0:
        return 0
    freed = 0
    with ExitStack() as held:
        idle = [folder for folder in copies if held.enter_context(_unused(folder))]
        for copy in sorted(copy for folder in idle for copy in copies[folder]):
            if freed >= over:
                break
            with suppress(OSError):
                copy.path.unlink()
                freed += copy.size
    return freed


def _sweep(root: Path) -> None:
    """Remove what killed processes have left half written."""
    for place in PLACES:
        for path in root.glob(f"[0-9]*/{place}.tmp"):
            with suppress(OSError):
                if path.name.startswith(".") and path.stat().st_mtime < time.time() - LEFT_SECONDS:
                    path.unlink()


def _copies(folder: Path) -> Iterator[_Copy]:
    for place in PLACES:
        for path in folder.glob(place):
            if path.name.startswith(".") or path.suffix == NOTE:
                continue
            with suppress(OSError):  # gone meanwhile
                status = path.stat()
                yield _Copy(status.st_atime_ns, status.st_size, path)


@contextmanager
def _unused(folder: Path) -> Iterator[bool]:
    """Whether nobody uses the copies in `folder`; if so, whoever begins to waits meanwhile."""
    with suppress(OSError), (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        return
    yield False
