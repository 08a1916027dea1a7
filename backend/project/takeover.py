"""What DATA_DIR has held without a store is copied into STORE, once: when a plugin first starts with a STORE that is empty."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from pathlib import Path

from backend.project.shared_index import INDEX, put_there, shared_index
from backend.project.sharing import bucket_of, projects_of, projects_without_store
from backend.records.state import ARITHMETIC, FORMAT_NOTE, IDENTITY, PROJECTS, Projects
from backend.settings import Settings
from model.storage.bucket import Bucket, Changed
from model.storage.files import locked

log = logging.getLogger(__name__)
MARK = "takeover.json"  # in STORE: who copies into it, until that is done
DONE = ".taken-over"  # in the folder of copies: what DATA_DIR held has been copied
LEFT_OUT = (".", INDEX, "finetune")  # how the names of files and folders begin that are of each machine's own
UNCHANGING = {".safetensors", ".pth", ".pt", ".bin"}  # files that are never changed: of the same size, they are the same
AT_ONCE = 8
WAIT_SECONDS, TELL_SECONDS = 1.0, 10.0


def take_over(settings: Settings) -> None:
    """Have STORE ready: copy into it what DATA_DIR holds, where it holds nothing yet; what a start that was interrupted has
    copied is not copied again. Waits while another machine does that. Nothing happens without STORE.

    Raises StoreUnavailable, DataDirError.
    """
    if not settings.store:
        return
    projects, before = projects_of(settings), projects_without_store(settings)
    mine, done = before.ids(), projects.root.parent / DONE
    if not projects.is_begun():
        with locked(settings.data_dir / ".takeover.lock"):  # of several processes here one copies
            _begin(bucket_of(settings), projects, before, mine)
    if mine and not done.exists():
        log.warning(
            "STORE=%s holds projects already: those in DATA_DIR=%s (%s) are left alone",
            settings.store, before.data_dir, ", ".join(map(str, mine)),
        )  # fmt: skip


def _begin(bucket: Bucket, projects: Projects, before: Projects, mine: list[int]) -> None:
    """Copy what there was `before`, the projects `mine`, unless another machine does, for which this one waits."""
    me, waits = before.identity() if mine else "", False
    while bucket.read(FORMAT_NOTE) is None:
        if _owner(bucket, me) == me:
            if mine:
                _copy(before.data_dir, projects.root.parent, bucket)
                for project in mine:
                    _share_index(before, projects, project)
            projects.begin()
            bucket.remove(MARK)
        elif not waits:
            waits = True
            log.info(
                "STORE=%s: another machine copies its DATA_DIR there, and this one waits. If that was given up, remove %s/%s",
                bucket.url, bucket.url, MARK,
            )  # fmt: skip
        else:
            time.sleep(WAIT_SECONDS)


def _owner(bucket: Bucket, me: str) -> str:
    """Who copies into the store: `me`, where nobody does; "" where nobody does, and nobody wants to."""
    if me:
        with suppress(Changed):
            bucket.write(MARK, json.dumps({"identity": me}).encode(), expected="")
            return me
    found = bucket.read(MARK)
    return str(json.loads(found.data)["identity"]) if found else me


def _copy(data_dir: Path, copies: Path, bucket: Bucket) -> None:
    """Copy all there is to copy, the few small files of all projects last."""
    names = sorted(_names(data_dir))
    sizes = {name: (data_dir / name).stat().st_size for name in names}
    there = {name: listed.size for name, listed in bucket.objects().items()}
    left = [name for name in names if Path(name).suffix not in UNCHANGING or there.get(name) != sizes[name]]
    log.info(
        "STORE=%s is empty: %d files of DATA_DIR=%s, %.2f GB, are copied there; %d are there already",
        bucket.url, len(names), data_dir, sum(sizes.values()) / 1e9, len(names) - len(left),
    )  # fmt: skip
    copied, told = 0, time.monotonic()
    for name in _each_put(bucket, data_dir, left):
        copied += sizes[name]
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            log.info("Copied %.2f of %.2f GB", copied / 1e9, sum(sizes[name] for name in left) / 1e9)
    for name in names:
        if Path(name).suffix in UNCHANGING:
            _link(data_dir / name, copies / name)
    (copies / DONE).touch()
    log.info("All is copied. From now on STORE=%s counts, and what lies in DATA_DIR=%s is left alone", bucket.url, data_dir)


def _names(data_dir: Path) -> Iterator[str]:
    """Files to copy, relative to DATA_DIR."""
    for name in (IDENTITY, ARITHMETIC):
        if (data_dir / name).is_file():
            yield name
    for project in (data_dir / PROJECTS).glob("[0-9]*"):
        for folder, below, files in os.walk(project):
            below[:] = [name for name in below if not name.startswith(LEFT_OUT)]
            yield from (str((Path(folder) / name).relative_to(data_dir)) for name in files if not name.startswith(LEFT_OUT))


def _each_put(bucket: Bucket, data_dir: Path, names: Iterable[str]) -> Iterator[str]:
    """Put files into the bucket, several at once; tells each that is there."""

    def put(name: str) -> str:
        bucket.write(name, data_dir / name)
        return name

    with ThreadPoolExecutor(AT_ONCE) as pool:
        under_way = [pool.submit(put, name) for name in names]
        try:
            for one in as_completed(under_way):
                yield one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _share_index(before: Projects, projects: Projects, project: int) -> None:
    """Have the project's index of tasks here, and for other machines; without it, it is read from Label Studio anew."""
    path, copy = before.folder(project) / INDEX, projects.folder(project) / INDEX
    if not path.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(copy)) as new:
        old.backup(new)
    put_there(shared_index(projects, project))


def _link(path: Path, copy: Path) -> None:
    """Have the copy of a file here already, where that takes no room."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        copy.hardlink_to(path)
