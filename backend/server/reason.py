"""HTTP reason phrases of our own choosing: of an ML backend's error, Label Studio shows the status line and nothing else."""

import re
from contextvars import ContextVar

from uvicorn.protocols.http import h11_impl

LONGEST = 1000  # bytes
_reason: ContextVar[bytes] = ContextVar("reason", default=b"")


class _Phrases(dict[int, bytes]):
    def __getitem__(self, status: int) -> bytes:
        return _reason.get() or super().__getitem__(status)


def install() -> None:
    """Let uvicorn's h11 protocol send what `set_reason` was given, in place of the standard phrases."""
    h11_impl.STATUS_PHRASES = _Phrases(h11_impl.STATUS_PHRASES)


def set_reason(message: str) -> None:
    """Use `message` as the reason phrase of the response being made. To be called in the request's own task.

    A phrase is one line of Latin-1: line ends become spaces, control characters and what Latin-1 lacks question marks.
    """
    line = " ".join(message.split())
    _reason.set(re.sub(r"[^\x20-\x7e\xa0-\xff]", "?", line).encode("latin-1")[:LONGEST])
