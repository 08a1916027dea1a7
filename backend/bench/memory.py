"""How much memory a process and all that it has started have had; from Linux's /proc."""

import threading
from pathlib import Path
from types import TracebackType

OFTEN = 0.1  # seconds


class FamilyPeak:
    """A block in which the process `ancestor` and all below it are watched. peak: the most resident memory that any of them has
    had, in bytes."""

    def __init__(self, ancestor: int) -> None:
        self.peak = 0
        self._ancestor = ancestor
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "FamilyPeak":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(OFTEN):
            self.peak = max([self.peak, *_peaks(self._ancestor)])


def _peaks(ancestor: int) -> list[int]:
    """The peaks of `ancestor` and of all processes below it, in bytes."""
    peaks: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            about = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        except OSError:  # it has ended
            continue
        number = int(folder.name)
        children.setdefault(int(about["PPid"]), []).append(number)
        peaks[number] = int(about.get("VmHWM", "0").split()[0]) * 1024
    family = [ancestor]
    for number in family:
        family += children.get(number, [])
    return [peaks[number] for number in family if number in peaks]
