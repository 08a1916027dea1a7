"""`al-backend up` as a child of the demo, the measurements and the tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from backend.bench.child import Child
from backend.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


class Plugin(Child):
    """The plugin with `values` as its settings; settings of this process's environment do not reach it."""

    def __init__(self, values: dict[str, str], log: IO[bytes] | None = None) -> None:
        super().__init__(f"http://127.0.0.1:{values['PORT']}/health", "The plugin did not start; its messages are above.")
        self._environment = environment(values)
        self._folder = Path(values["DATA_DIR"])  # where it runs, so that no .env of the checkout's reaches it either
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = log

    def start(self, wait: Callable[[int], None] = lambda _: None) -> None:
        """Start it and wait until its server answers; `wait` is called with the seconds passed. Raises RuntimeError."""
        self.launch([sys.executable, "-m", "backend", "up"], self._environment, self._folder, self._log, wait)

    def command(self, *arguments: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
        """Run `al-backend ARGUMENTS` with the same settings."""
        command = [sys.executable, "-m", "backend", *arguments]
        return subprocess.run(
            command, env=self._environment, cwd=self._folder, capture_output=capture, text=True, timeout=3600, check=False
        )


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `values` in place of all its settings."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return kept | {"PYTHONPATH": str(ROOT)} | dict(values)
