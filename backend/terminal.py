"""Progress for people: one line that is rewritten on a terminal, a line now and then in a log."""

import shutil
import sys
import time

LOG_SECONDS = 5


class ProgressLine:
    """`update` it as often as you like, `end` it before other output."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._said = ""
        self._at = 0.0

    def update(self, line: str) -> None:
        """Show `line`; in a log at most every few seconds, and never the same twice.

        On a terminal it is cut to its width, since a line that goes on in the next row cannot be rewritten.
        """
        if line == self._said or (not self._terminal and time.monotonic() - self._at < LOG_SECONDS):
            return
        self._said, self._at = line, time.monotonic()
        if self._terminal:
            width = max(shutil.get_terminal_size().columns - 1, 1)
            print(f"\r{line if len(line) <= width else line[: width - 1] + '>'}\033[K", end="", flush=True)
        else:
            print(line, flush=True)

    def count(self, what: str, done: int, total: int) -> None:
        """Show how far something is; the last step is always shown."""
        if done >= total:
            self._at = 0.0
        self.update(f"{what} ... {done}/{total}")
        if done >= total:
            self.end()

    def end(self) -> None:
        """Leave the line as it stands."""
        if self._terminal and self._said:
            print(flush=True)
        self._said = ""
