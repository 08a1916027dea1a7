"""How far a long step is and how long it will take: one line on a terminal, a line now and then in a log."""

import time

from backend.terminal import ProgressLine

WARM_UP = 0.02  # of a step, before which its pace says nothing


class StepLine:
    """`start` a step, `advance` it, and it ends by itself; one step at a time."""

    def __init__(self) -> None:
        self._line = ProgressLine()

    def start(self, what: str, total: int) -> None:
        """A step of `total` parts."""
        self._what, self._total, self._done = what, total, 0
        self._started = self._last = time.monotonic()
        self._line.update(f"{what} ...")

    def advance(self, parts: int, note: str = "") -> None:
        """`parts` more are done."""
        self.reach(self._done + parts, note)

    def reach(self, done: int, note: str = "") -> None:
        """`done` parts are done."""
        if self._done >= self._total:
            return
        if done > self._done:
            self._done, self._last = done, time.monotonic()
        if done < self._total:
            self._line.update(f"{self._what} ... {done}/{self._total}{self._left()}{f'; {note}' if note else ''}")
        else:
            self._line.count(self._what, done, self._total)

    def _left(self) -> str:
        if self._done < max(1, WARM_UP * self._total):
            return ""
        pace = (self._last - self._started) / self._done
        seconds = pace * (self._total - self._done) - (time.monotonic() - self._last)
        return f", about {describe_seconds(seconds)} left"


def describe_seconds(seconds: float) -> str:
    """A span of time as a person would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
