"""A folder on this machine's disk that holds copies of what lies in a bucket, where all machines find it.

Its files never change once they are there, so that a copy is as good as the original for as long as that is listed. What is
not here is fetched when it is needed; what is gone from the bucket is gone.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from model.storage.bucket import SMALL, Bucket, Listed, StoreUnavailable
from model.storage.documents_in_bucket import AWAY_SECONDS, FRESH_SECONDS

log = logging.getLogger(__name__)
AT_ONCE = 8  # files fetched side by side
LARGE = 100_000_000  # bytes that nobody in a hurry waits for
PROGRESS_SECONDS = 2.0  # after which fetching says how far it is
STEP = "fetching from STORE"
USED_SECONDS = 60  # how exactly it is noted when a copy was last used

Report = Callable[[str, int, int], object]  # step, done, total


class Listing(NamedTuple):
    """Files by their names, and whether they are those of now: not where the bucket is out of reach and these are of before."""

    names: dict[str, Listed]
    current: bool


class Seen:
    """What a process has seen of a bucket: names by folder, and when."""

    def __init__(self) -> None:
        self.listings: dict[str, tuple[float, dict[str, Listed]]] = {}
        self.away_until = 0.0
        self.fetching: set[str] = set()  # folders for which a thread fetches what is large

    def outdated(self, prefix: str) -> None:
        """What lies under `prefix` has changed: it is looked at again before it counts as that of now."""
        for other, (_, names) in list(self.listings.items()):
            if other.startswith(prefix) or prefix.startswith(other):
                self.listings[other] = (float("-inf"), names)


class Mirror:
    """Copies in `folder` of the files under `prefix` in `bucket`. Names are relative to it, and may lead into folders below.

    report: told how far fetching is where it takes long; hurried: rather fail than wait for a bucket that does not answer. All
    methods may raise StoreUnavailable.
    """

    def __init__(
        self,
        bucket: Bucket,
        folder: Path,
        prefix: str = "",
        report: Report | None = None,
        seen: Seen | None = None,
        hurried: bool = False,
    ) -> None:
        self.folder = folder
        self.place = f"{bucket.url}/{prefix}".rstrip("/")  # for people
        self.bucket, self._prefix, self._report, self.hurried = bucket, prefix, report, hurried
        self._seen = seen or Seen()

    def within(self, name: str, report: Report | None = None) -> "Mirror":
        """The folder `name` below."""
        folder, prefix = self.folder / name, f"{self._prefix}{name}/"
        return Mirror(self.bucket, folder, prefix, report or self._report, self._seen, self.hurried)

    def in_a_hurry(self) -> "Mirror":
        """The same, for whoever rather fails than waits for a bucket that does not answer."""
        return Mirror(self.bucket, self.folder, self._prefix, self._report, self._seen, hurried=True)

    def listing(self, age: float = FRESH_SECONDS, certain: bool = False) -> Listing:
        """What lies in the bucket, as of at most `age` seconds ago. Where the bucket is out of reach, and this process has
        looked before, it is what was seen then; `certain`: rather raise StoreUnavailable."""
        began = time.monotonic()
        at, known = self._seen.listings.get(self._prefix, (None, {}))
        if at is not None and not certain:
            if began < at + age:
                return Listing(known, True)
            if began < self._seen.away_until:
                return Listing(known, False)
        lenient = at is not None and not certain
        self._refuse_to_wait()
        try:
            found = self.bucket.objects(self._prefix.rstrip("/"), at_once=lenient or self.hurried)
        except StoreUnavailable as error:
            self._seen.away_until = time.monotonic() + AWAY_SECONDS
            if not lenient:
                raise
            log.warning("What was seen before is used for now: %s", error)
            return Listing(known, False)
        names = {path.removeprefix(self._prefix): listed for path, listed in found.items()}
        self._seen.listings[self._prefix] = (began, names)
        return Listing(names, True)

    def _refuse_to_wait(self) -> None:
        if self.hurried and time.monotonic() < self._seen.away_until:
            raise StoreUnavailable(f"STORE={self.bucket.url} did not answer a moment ago: see whether it does")

    def has(self, name: str) -> bool:
        """Whether there is such a file in the bucket; where it seems not, that is looked at now."""
        return name in self.listing().names or name in self.listing(age=0).names

    def copy(self, name: str) -> Path | None:
        """The copy of `name`, fetched where it is not here; None where there is no such file."""
        if not self.has(name):
            return None
        self.fetch([name])
        path = self.folder / name
        return path if path.exists() else None

    def fetch(self, names: Iterable[str], some_will_do: bool = False) -> None:
        """See that copies of `names` are here, each whole or not at all; one that is gone from the bucket is passed over.

        some_will_do: whoever is in a hurry then gets what is large later, and goes on with what is here.
        """
        _, known = self._seen.listings.get(self._prefix, (0, {}))
        missing = [name for name in names if not _used(self.folder / name, known.get(name))]
        if not missing:
            return
        self._refuse_to_wait()
        large = sum(known[name].size for name in missing if name in known) > LARGE
        if some_will_do and self.hurried and large:
            self._fetch_later(missing)
        else:
            self._fetch(missing)

    def _fetch_later(self, missing: list[str]) -> None:
        def fetch() -> None:
            try:
                self._fetch(missing)
            except OSError as error:
                log.warning("Fetching %d files of %s was given up for now: %s", len(missing), self.place, error)
            finally:
                self._seen.fetching.discard(self._prefix)

        if self._prefix not in self._seen.fetching:  # two that meet here fetch twice, which does no harm
            self._seen.fetching.add(self._prefix)
            log.info("%d files of %s are fetched beside what else there is to do", len(missing), self.place)
            threading.Thread(target=fetch, daemon=True, name="fetch").start()

    def _fetch(self, missing: list[str]) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(min(AT_ONCE, len(missing))) as pool:
            under_way = [pool.submit(self.fetch_again, name) for name in missing]
            try:
                for done, one in enumerate(as_completed(under_way), 1):
                    one.result()
                    if self._report and time.monotonic() - began > PROGRESS_SECONDS:
                        self._report(STEP, done, len(missing))
            finally:
                pool.shutdown(cancel_futures=True)

    def fetch_again(self, name: str) -> bool:
        """Fetch `name` even where a copy is here, which may be damaged; returns whether there is such a file."""
        return self.bucket.download(self._prefix + name, self.folder / name)

    def put(self, name: str, path: Path | None = None) -> None:
        """Put the file in `path`, by default that at its place in `folder`, into the bucket as `name`."""
        source = path or self.folder / name
        at_once = self.hurried and source.stat().st_size < SMALL  # what is large takes its time
        if at_once:
            self._refuse_to_wait()
        try:
            self.bucket.write(self._prefix + name, source, at_once=at_once)
        except StoreUnavailable:
            self._seen.away_until = time.monotonic() + AWAY_SECONDS
            raise
        self._seen.outdated(self._prefix)

    def remove(self, *names: str) -> None:
        """Remove these files, in this order, and their copies; what is gone already is fine."""
        self.bucket.remove(*(self._prefix + name for name in names))
        self._seen.outdated(self._prefix)
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all that lies here, and the folder of copies."""
        self.remove(*self.listing(certain=True).names)
        shutil.rmtree(self.folder, ignore_errors=True)


def _used(path: Path, listed: Listed | None) -> bool:
    """Note that a copy is in use, by its time of access; returns whether it is here, in its full length. Its time of change
    stays: shards are told by it."""
    now = time.time_ns()
    try:
        status = path.stat()
        if listed and status.st_size != listed.size:
            return False
        if now - status.st_atime_ns > USED_SECONDS * 1e9:
            os.utime(path, ns=(now, status.st_mtime_ns))
    except FileNotFoundError:
        return False
    return True
