"""Images that people have sent to the head of a project's queue: they stay there over later rounds, until they are labelled,
skipped or let go."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.storage.documents import Documents

FILE = "ahead.json"
MOST = 500  # images of a project: random slots, which measure the model, wait behind them


class TooManyAhead(ValueError):
    """More images than a queue's head takes; the message says how many it takes."""


@dataclass(frozen=True)
class Sent:
    """An image sent to the head. who: by whom; when: seconds since 1970."""

    task: int
    who: str
    when: float


class Ahead:
    """The head of one project's queue, among its `documents`, safe for many processes."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def read(self) -> list[Sent]:
        """What was sent, first sent first; nothing where the file is damaged."""
        return _sent_from(self._documents.read_json(FILE))

    def tasks(self) -> NDArray[np.int64]:
        """The tasks that were sent, first sent first: int64 (n,)."""
        return np.array([sent.task for sent in self.read()], np.int64)

    def send(self, tasks: Iterable[int], who: str) -> None:
        """Put `tasks` behind what was sent before; what is there already stays where it is. Raises TooManyAhead."""
        now = time.time()

        def change(kept: list[Sent]) -> list[Sent]:
            there = {sent.task for sent in kept}
            kept += [Sent(task, who, now) for task in dict.fromkeys(tasks) if task not in there]
            if len(kept) > MOST:
                raise TooManyAhead(
                    f"The head of the queue takes {MOST} images, {len(there)} are there already: send fewer, or let some go."
                )
            return kept

        self._change(change)

    def let_go(self, tasks: Iterable[int]) -> None:
        """Take `tasks` off the list."""
        gone = set(tasks)
        if gone:
            self._change(lambda kept: [sent for sent in kept if sent.task not in gone])

    def clear(self) -> None:
        """Forget everything."""
        self._documents.remove(FILE)

    def _change(self, change: Callable[[list[Sent]], list[Sent]]) -> None:
        """Read, change, write, with no other process between."""
        with self._documents.locked(FILE):
            self._documents.write_json(FILE, [asdict(sent) for sent in change(self.read())])


def _sent_from(content: Any) -> list[Sent]:
    try:
        return [Sent(int(sent["task"]), str(sent["who"]), float(sent["when"])) for sent in content or []]
    except (TypeError, KeyError, ValueError):
        return []
