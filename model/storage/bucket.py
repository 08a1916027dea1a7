"""An object store's folder: what several machines have in common where they share no disk.

obstore speaks to S3, Google Cloud Storage, Azure and what is like them, and knows the one act that shared state needs: to
write only if nobody else has written since (a conditional PUT), which fsspec's file systems cannot do alike. Credentials and
endpoints come from the environment by the names that the stores' own tools use (AWS_*, GOOGLE_*, AZURE_*).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from model.storage.files import write_atomically

SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")
CREDENTIALS = ("AWS_", "GOOGLE_", "AZURE_")  # what their variables begin with
TRANSFER_SECONDS = 600  # for a whole object, up or down
ANSWER_SECONDS = 10  # for what is small: a name, a list, a document
AT_ONCE_SECONDS = 3
SMALL = 1 << 20  # bytes
PART = 8 << 20  # bytes written to disk at once


class StoreUnavailable(OSError):
    """The object store cannot be reached or refuses; the message says why, and what to see to."""


class Changed(RuntimeError):
    """Somebody else has written meanwhile."""


class Content(NamedTuple):
    """What an object holds, and the tag of this state of it."""

    data: bytes
    tag: str


class Listed(NamedTuple):
    """An object's size in bytes, and the tag of its state."""

    size: int
    tag: str


class Folder(NamedTuple):
    """Names of the objects and of the folders right in a folder, in order."""

    names: list[str]
    folders: list[str]


class Bucket:
    """The objects under `url`, such as "s3://bucket/folder"; names are relative to it.

    patience: seconds for which an act is tried again while the store is out of reach. Every method may raise StoreUnavailable.
    The library's threads do not survive a fork: a process that was forked from one that has used a bucket must use none, and
    is told so instead of hanging.
    """

    def __init__(self, url: str, patience: float = 90) -> None:
        self.url = url.rstrip("/")
        self._transfers = _opened(self.url, TRANSFER_SECONDS, patience)
        self._store = _opened(self.url, ANSWER_SECONDS, patience)
        self._at_once = _opened(self.url, AT_ONCE_SECONDS, 0)

    def read(self, name: str, known: str = "", at_once: bool = False) -> Content | None:
        """The object `name`; None where there is none. Raises Unchanged where its tag is `known`.

        at_once: rather fail than wait for a store that does not answer within AT_ONCE_SECONDS.
        """
        import obstore

        with _said(self.url):
            try:
                if obstore.head(self._at_once if at_once else self._store, name)["e_tag"] == known:
                    raise Unchanged(name)
                found = obstore.get(self._transfers, name)
            except FileNotFoundError:
                return None
            return Content(bytes(found.bytes()), str(found.meta["e_tag"]))

    def tag(self, name: str, at_once: bool = False) -> str:
        """The tag of the object `name`, "" where there is none. at_once: see `read`."""
        import obstore

        with _said(self.url):
            try:
                return str(obstore.head(self._at_once if at_once else self._store, name)["e_tag"])
            except FileNotFoundError:
                return ""

    def write(self, name: str, data: bytes | Path, expected: str | None = None, at_once: bool = False) -> str:
        """Make `data`, or what the file holds, the object `name`; returns its tag.

        expected: the tag it must have for that, "" for none at all; None writes in any case. Raises Changed where it has
        another. at_once: see `read`.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        store = self._store if isinstance(data, bytes) and len(data) < SMALL else self._transfers
        store = self._at_once if at_once else store
        mode: Any = "overwrite" if expected is None else {"e_tag": expected} if expected else "create"
        with _said(self.url):
            try:
                return str(obstore.put(store, name, data, mode=mode)["e_tag"])
            except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
                if isinstance(error, FileNotFoundError) and not expected:
                    raise StoreUnavailable(f"STORE={self.url}: there is no such bucket, make it first") from error
                raise Changed(f"{self.url}/{name} was written by another process meanwhile: try again") from None

    def download(self, name: str, path: Path) -> bool:
        """Write the object `name` to `path`, whole or not at all; returns whether there is such an object."""
        import obstore

        def write(beside: Path) -> None:
            with beside.open("wb") as file:
                for part in found.stream(PART):
                    file.write(part)

        with _said(self.url):
            try:
                found = obstore.get(self._transfers, name)
                write_atomically(path, write)
            except FileNotFoundError:
                return False
        return True

    def objects(self, prefix: str = "", at_once: bool = False) -> dict[str, Listed]:
        """The objects whose names begin with the folder `prefix`. at_once: see `read`."""
        import obstore

        with _said(self.url):
            found = (meta for part in obstore.list(self._at_once if at_once else self._store, prefix or None) for meta in part)
            return {str(meta["path"]): Listed(int(meta["size"]), str(meta["e_tag"])) for meta in found}

    def folder(self, prefix: str = "", at_once: bool = False) -> Folder:
        """What lies right in the folder `prefix`. at_once: as for `read`."""
        import obstore

        with _said(self.url):
            found = obstore.list_with_delimiter(self._at_once if at_once else self._store, prefix or None)
        names = [str(meta["path"]) for meta in found["objects"]], [str(path) for path in found["common_prefixes"]]
        return Folder(*(sorted(path.rstrip("/").rpartition("/")[2] for path in paths) for paths in names))

    def remove(self, *names: str) -> None:
        """Remove these objects; those that are gone already are fine."""
        import obstore

        with _said(self.url):
            try:
                obstore.delete(self._store, names)  # a thousand in one act, where the store can
                return
            except FileNotFoundError:
                pass
        for name in names:
            with _said(self.url), suppress(FileNotFoundError):
                obstore.delete(self._store, name)

    def clear(self, prefix: str) -> list[str]:
        """Remove all objects whose names begin with the folder `prefix`, those right in it last; returns their names."""
        import obstore

        names = list(self.objects(prefix))
        deep = [name for name in names if "/" in name.removeprefix(f"{prefix}/")]
        with _said(self.url):
            for part in (deep, [name for name in names if name not in set(deep)]):
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, part)
        return names


class Unchanged(Exception):
    """An object is as it is known to be."""


def _opened(url: str, answer_seconds: float, patience: float) -> Any:
    from obstore.store import from_url

    for name in [name for name, value in os.environ.items() if name.startswith(CREDENTIALS) and not value]:
        del os.environ[name]  # set to nothing, as in docker-compose.yml, is not set
    with _said(url):
        return from_url(
            url,
            client_options={
                "connect_timeout": f"{AT_ONCE_SECONDS}s",
                "timeout": f"{answer_seconds}s",
                "allow_http": True,  # for whoever names an endpoint with http://
            },
            retry_config={
                "max_retries": 1000 if patience else 0,
                "retry_timeout": timedelta(seconds=patience),
                "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=2), "base": 2},
            },
        )


@contextmanager
def _said(url: str) -> Iterator[None]:
    """What the library raises about the store, as what people can act on."""
    from obstore.exceptions import (
        BaseError,
        PermissionDeniedError,
        UnauthenticatedError,
        UnknownConfigurationKeyError,
    )

    if _first_used_by and os.getpid() not in _first_used_by:
        raise RuntimeError(f"this process was forked from one that had used {url}, and cannot use it")
    _first_used_by.add(os.getpid())
    try:
        yield
    except FileNotFoundError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreUnavailable(f"STORE={url} refuses ({_short(error)}): see to its credentials in the environment") from error
    except (BaseError, UnknownConfigurationKeyError, ValueError) as error:
        raise StoreUnavailable(
            f"STORE={url} cannot be used ({_short(error)}): see whether it answers, and to its name, endpoint and credentials"
        ) from error


def _short(error: Exception) -> str:
    """The first line of what the library says, without its advice for programmers."""
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


_first_used_by: set[int] = set()  # the process that has the library's threads
