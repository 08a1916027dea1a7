"""Where what all machines know of the projects lies: in DATA_DIR, a disk that they share, or in the object store STORE."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Event

from redis.exceptions import LockError, RedisError

from backend.queue.redis_server import connect_redis
from backend.records.state import PROJECTS, Projects
from backend.settings import Settings
from model.storage.bucket import Bucket, StoreUnavailable
from model.storage.copies import trim
from model.storage.documents_in_bucket import DocumentsInBucket, Haste, Lock
from model.storage.mirror import Mirror

log = logging.getLogger(__name__)
COPIES = "copies"
LOCK = "al:lock:{}"
TRIM_SECONDS = 600  # between looks at how much copies take
LOCK_SECONDS = 120  # after which a lock is taken from whoever has gone silent; an act on the store may take as long


def projects_of(settings: Settings, haste: Haste = Haste.PATIENT) -> Projects:
    """The projects of these settings, for somebody in such a haste where there is a STORE. Raises StoreUnavailable where that
    cannot be used at all."""
    if not settings.store:
        return Projects(settings.data_dir)
    documents, files = _in_bucket(settings.store, _Locks(settings)), _copies(settings.store, settings.data_dir)
    files = files if haste is Haste.PATIENT else files.in_a_hurry()
    return Projects(settings.data_dir, documents.taken_with(haste), files)


def projects_without_store(settings: Settings) -> Projects:
    """The projects that DATA_DIR itself holds, whether there is a STORE or not."""
    return Projects(settings.data_dir)


def copies_in(data_dir: Path, url: str) -> Path:
    """The folder in DATA_DIR with copies of what lies in the store `url`, apart from those of another store, and from what
    DATA_DIR itself holds without a store."""
    return data_dir / COPIES / hashlib.sha256(url.encode()).hexdigest()[:12]


def trim_copies(settings: Settings) -> None:
    """Have copies of what lies in STORE take no more of this machine's disk than the settings say."""
    if not settings.store:
        return
    try:
        freed = trim(copies_in(settings.data_dir, settings.store) / PROJECTS, settings.store_cache_gb * 1e9)
    except OSError as error:
        log.warning("Copies of what lies in STORE are not trimmed: %s", error)
        return
    if freed:
        log.info("STORE_CACHE_GB=%g: %.2f GB of copies were thrown away", settings.store_cache_gb, freed / 1e9)


def keep_trimming(settings: Settings, end: Event) -> None:
    """Trim copies now and again until `end`, on a machine where no job does."""
    while not end.wait(TRIM_SECONDS):
        trim_copies(settings)


def bucket_of(settings: Settings) -> Bucket:
    """The bucket STORE. Raises StoreUnavailable."""
    return _bucket(settings.store)


@lru_cache
def _bucket(url: str) -> Bucket:
    return Bucket(url)


@lru_cache
def _in_bucket(url: str, lock: Lock) -> DocumentsInBucket:
    """One for all of a process, so that what was read a moment ago is not read again."""
    return DocumentsInBucket(_bucket(url), lock)


@lru_cache
def _copies(url: str, data_dir: Path) -> Mirror:
    """One for all of a process, as above."""
    return Mirror(_bucket(url), copies_in(data_dir, url))


class _Locks:
    """Locks on Redis. They spare those who change the same document the collision, which the bucket itself would refuse."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        redis = connect_redis(self._settings)
        lock = redis.lock(LOCK.format(name), timeout=LOCK_SECONDS)
        try:
            if not lock.acquire(blocking_timeout=LOCK_SECONDS):
                raise StoreUnavailable(f"{name} has been locked by another process for {LOCK_SECONDS} s: try again")
            try:
                yield
            finally:
                with suppress(LockError, RedisError):  # lost, as by a FLUSHALL: the bucket tells whether that did harm
                    lock.release()
        finally:
            redis.close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Locks) and other._settings.redis_url == self._settings.redis_url

    def __hash__(self) -> int:
        return hash(self._settings.redis_url)
