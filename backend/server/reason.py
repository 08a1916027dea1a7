"""HTTP reason phrases of our own choosing: of an ML backend's error, Label Studio shows the status line and nothing else."""

import re
from contextvars import ContextVar

LONGEST = 1000  # bytes
_reason: ContextVar[bytes] = ContextVar("reason", default=b"")


def reason_phrase() -> bytes:
    """What `set_reason` was given in this request's task, b"" where it was not called."""
    return _reason.get()


def set_reason(message: str) -> None:
    """Use `message` as the reason phrase of the response being made. To be called in the request's own task.

    A phrase is one line of Latin-1: line ends become spaces, control characters and what Latin-1 lacks question marks.
    """
    line = " ".join(message.split())
    _reason.set(re.sub(r"[^\x20-\x7e\xa0-\xff]", "?", line).encode("latin-1")[:LONGEST])
