"""The SQLite file behind a project's index: opened by many processes, replaced as a whole where it is damaged.

Nothing in it is lost for good: Label Studio holds the truth. So a damaged file is set aside and an empty one takes its place,
while a file that is only locked, or a disk that is full, is an error that says so.
"""

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from model.storage.files import locked

log = logging.getLogger(__name__)
WAIT_SECONDS = 60.0  # for another process that writes
SIDES = ("", "-wal", "-shm", "-journal")  # the files SQLite keeps for one database
OUT_OF_ORDER = {
    sqlite3.SQLITE_BUSY: "has been locked by another process for too long: see with `fuser` which one holds it, and stop it",
    sqlite3.SQLITE_LOCKED: "has been locked by another process for too long: see with `fuser` which one holds it, and stop it",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full: make room on the disk that holds DATA_DIR",
    sqlite3.SQLITE_IOERR: "cannot be read or written: see whether the disk that holds DATA_DIR is full or failing",
    sqlite3.SQLITE_READONLY: "may not be written: let this process's user write to DATA_DIR",
    sqlite3.SQLITE_PERM: "may not be opened: let this process's user read and write DATA_DIR",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: let this process's user read and write DATA_DIR, a folder on disk",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
}

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_MISMATCH)


class IndexUnavailable(RuntimeError):
    """The index cannot be used now: locked, or its disk is full or out of order. Nothing is lost; trying again is fine."""


class IndexLost(IndexUnavailable):
    """The index was damaged and has been replaced by an empty one, which the next sync fills: begin the work again."""


class SnapshotUnusable(RuntimeError):
    """A snapshot of an index is damaged, or of another version of the plugin: it can tell nothing."""


class IndexFile:
    """The database in `path` with the tables of `schema`, whose number is `version`. Opened by `open`, used by one thread.

    upgrades: statements that make a file of an older version, by its number, one of this; other files are set aside.
    changes: rows that were written here.
    """

    def __init__(self, path: Path, schema: str, version: int, upgrades: Mapping[int, str] = MappingProxyType({})) -> None:
        self._path = path
        self._schema = schema
        self._version = version
        self._upgrades = upgrades
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        self.changes = 0

    def open(self) -> None:
        """Open the file; only one that is absent, damaged or of another version is written. Raises IndexUnavailable."""
        self._inode = _inode(self._path)
        try:
            self._open()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._unavailable(error) from error
            self._replace(str(error))

    def close(self) -> None:
        """Let go of the file."""
        if self._db:
            self._db.close()
        self._db = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for reading or for one statement. Raises IndexUnavailable, IndexLost."""
        if self._db is None or _inode(self._path) != self._inode:  # another process has replaced the file
            self.close()
            self.open()
            raise IndexLost(f"{self._path.name} was replaced meanwhile: what is in it is read from Label Studio again")
        try:
            yield self._db
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise self._unavailable(error) from error
            self._replace(str(error))
            raise IndexLost(
                f"{self._path.name} was damaged ({error}): it is set aside, and what was in it is read from Label Studio again"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection inside a transaction, which is undone by any error. Raises IndexUnavailable, IndexLost."""
        with self.reading() as db, self._at_once(db):
            yield db

    @contextmanager
    def writing_from(self, snapshot: Path) -> Iterator[sqlite3.Connection]:
        """As `writing`, with the snapshot of an index as the database "other". Raises SnapshotUnusable too."""
        with self.reading() as db:
            try:
                db.execute("ATTACH ? AS other", (str(snapshot.absolute()),))
                try:
                    if db.execute("PRAGMA other.user_version").fetchone() != (self._version,):
                        raise SnapshotUnusable(f"{snapshot.name} was made by another version of the plugin")
                    with self._at_once(db):
                        yield db
                finally:
                    db.execute("DETACH other")
            except sqlite3.Error as error:
                if not _is_damage(error):
                    raise
                raise SnapshotUnusable(f"{snapshot.name} is damaged ({error})") from error

    def copy_to(self, path: Path) -> None:
        """Make `path` a file like this one, as it is at one moment. Raises IndexUnavailable, IndexLost."""
        for side in SIDES:
            path.with_name(path.name + side).unlink(missing_ok=True)
        with self.reading() as db, closing(sqlite3.connect(path)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file

    @contextmanager
    def _at_once(self, db: sqlite3.Connection) -> Iterator[None]:
        """A transaction, which is undone by any error."""
        before = db.total_changes
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.rollback()
            raise
        self.changes += db.total_changes - before

    def _open(self) -> None:
        if not self._is_current():
            with self._lock():
                if not self._is_current() and not self._upgrade():  # nobody else was quicker
                    self._set_aside()
                    self._create()
        self._connect()

    def _is_current(self) -> bool:
        """Whether the file is there with our tables. Raises sqlite3.Error where it is locked or damaged."""
        if not self._path.exists():
            return False
        with closing(self._connection()) as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return bool(found == self._version)

    def _upgrade(self) -> bool:
        """Make a file of an older version one of this; returns whether it could. Raises sqlite3.Error."""
        if not self._path.exists():
            return False
        with closing(self._connection()) as db:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found not in self._upgrades:
                return False
            db.executescript(f"BEGIN IMMEDIATE; {self._upgrades[found]}; PRAGMA user_version = {self._version}; COMMIT")
        return True

    def _connect(self) -> None:
        self._db = self._connection()
        self._inode = _inode(self._path)

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw", timeout=WAIT_SECONDS, isolation_level=None, uri=True
        )

    def _create(self) -> None:
        with closing(sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(f"BEGIN IMMEDIATE; {self._schema}; PRAGMA user_version = {self._version}; COMMIT")

    def _replace(self, reason: str) -> None:
        """Set the damaged file aside and open an empty one, unless another process has done so already."""
        self.close()
        try:
            with self._lock():
                if self._inode == _inode(self._path):
                    log.warning("%s is damaged (%s): set aside, and built again from Label Studio", self._path, reason)
                    self._set_aside()
                    self._create()
            self._connect()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def _set_aside(self) -> None:
        """Rename the file, and what SQLite keeps beside it, to *.damaged. Whoever holds it notices by the file's number."""
        for side in SIDES:
            held = self._path.with_name(self._path.name + side)
            if held.exists():
                held.replace(self._path.with_name(f"{self._path.name}.damaged{side}"))

    def _lock(self) -> AbstractContextManager[None]:
        """One process at a time makes or replaces the file."""
        return locked(self._path.with_name(f"{self._path.name}.lock"))

    def _unavailable(self, error: sqlite3.Error) -> IndexUnavailable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return IndexUnavailable(f"{self._path} {OUT_OF_ORDER.get(code, 'cannot be used')} ({error}).")


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is at fault. SQLITE_ERROR says that our tables are not in it, no code that text is no text."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in DAMAGE


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return -1
