"""`python -m backend up` as a child of the demo, the measurements and the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import httpx

from backend.processes import die_with_parent
from backend.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS, STOP_SECONDS = 120, 40


class Plugin:
    """The plugin with `values` as its settings; settings of this process's environment do not reach it."""

    def __init__(self, values: dict[str, str], log: IO[bytes] | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
        self.environment = kept | {"PYTHONPATH": str(ROOT)} | values
        self._folder = Path(values["DATA_DIR"])  # where it runs, so that no .env of the checkout's reaches it either
        self._folder.mkdir(parents=True, exist_ok=True)
        self._url = f"http://127.0.0.1:{values['PORT']}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, wait: Callable[[int], None] = lambda _: None) -> None:
        """Start it and wait until its server answers; `wait` is called with the seconds passed. Raises RuntimeError."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "backend", "up"],
            env=self.environment,
            cwd=self._folder,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )
        started = time.monotonic()
        while (passed := time.monotonic() - started) < START_SECONDS and self._process.poll() is None:
            wait(int(passed))
            try:
                if httpx.get(self._url + "/health", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.5)
        raise RuntimeError("The plugin's server did not start; its messages are above.")

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it and all its processes."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)

    def command(self, *arguments: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run `python -m backend ARGUMENTS` with the same settings."""
        command = [sys.executable, "-m", "backend", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=self._folder, capture_output=capture, text=True, timeout=3600, check=False
        )
