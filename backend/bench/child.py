"""A server as a child process: started, waited for, and never left behind."""

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx

from backend.processes import die_with_parent

START_SECONDS, STOP_SECONDS = 600, 30  # an empty PostgreSQL takes Label Studio minutes on a busy machine
PORTS = range(20_000, 32_768)  # systems give none of these to whoever takes any: Linux begins at 32768, others at 49152
_counted = itertools.count(os.getpid() * 97)  # processes that are started together stay apart


class Child:
    """Runs `command` in a session of its own, so that Ctrl-C reaches it through `stop` alone."""

    def __init__(self, health: str, advice: str) -> None:
        self._health, self._advice = health, advice
        self._process: subprocess.Popen[bytes] | None = None

    def launch(
        self,
        command: list[str],
        environment: Mapping[str, str],
        folder: Path,
        log: IO[bytes] | None,
        wait: Callable[[int], None] = lambda _: None,
        pause: float = 0.5,
    ) -> None:
        """Start it in `folder` and wait until its health URL answers; `wait` is called with the seconds passed, every `pause`.

        Raises RuntimeError with the advice where it ends or does not answer in time.
        """
        self.spawn(command, environment, folder, log)
        started = time.monotonic()
        with httpx.Client(trust_env=False, timeout=2) as http:
            while (passed := time.monotonic() - started) < START_SECONDS and self.alive():
                wait(int(passed))
                try:
                    if http.get(self._health).is_success:
                        return
                except httpx.HTTPError:
                    pass
                time.sleep(pause)
        raise RuntimeError(self._advice)

    def spawn(self, command: list[str], environment: Mapping[str, str], folder: Path, log: IO[bytes] | None) -> None:
        """Start it in `folder`, and wait for nothing."""
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )

    @property
    def pid(self) -> int:
        """Its number, 0 before it is started."""
        return self._process.pid if self._process else 0

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, then make it and all its processes."""
        if self._process is None or not self.alive():
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on, each time another, and free until a server has started there."""
    while True:
        port = PORTS[next(_counted) % len(PORTS)]
        with socket.socket() as s, suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
