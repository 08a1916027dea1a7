"""HTTP as this server speaks it: parsed by httptools, which makes a webhook a third cheaper than uvicorn's h11 does.

Of h11 it has the limit on how much of a head is kept; the reason phrases are our own (reason.py).
"""

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.server.reason import reason_phrase

LONGEST_HEAD = 65_536  # bytes of request line and headers, which are kept before anybody has said who they are


def config(app: ASGIApp, port: int = 0) -> uvicorn.Config:
    """How uvicorn serves `app`."""
    httptools_impl.STATUS_LINE = _StatusLines(httptools_impl.STATUS_LINE)
    return uvicorn.Config(app, port=port, http=Protocol, access_log=False, log_level="warning")


class Protocol(HttpToolsProtocol):
    """One connection. A head longer than LONGEST_HEAD is answered with 400, and the connection ends."""

    _head: int | None = 0  # bytes of the head so far, None where it has been read

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The request's head is longer than {LONGEST_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head = 0
        super().on_message_complete()


class _StatusLines(dict[int, bytes]):
    """The first line of an answer by its status."""

    def __getitem__(self, status: int) -> bytes:
        phrase = reason_phrase()
        return b"HTTP/1.1 %d %s\r\n" % (status, phrase) if phrase else super().__getitem__(status)
