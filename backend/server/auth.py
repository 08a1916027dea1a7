"""Basic authentication: who may call the server."""

import base64
import binascii
import secrets
from contextlib import suppress

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.server import reason


class BasicAuth:
    """Asks for the credentials on every route but /health.

    Label Studio sends them in Latin-1, other clients in UTF-8: both are taken.
    """

    def __init__(self, app: ASGIApp, credentials: tuple[str, str] | None) -> None:
        self._app = app
        self._expected = _encodings(":".join(credentials)) if credentials else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] != "/health" and not self._allows(dict(scope["headers"])):
            message = "BASIC_AUTH_USER and BASIC_AUTH_PASS are not what this backend expects"
            reason.set_reason(f"Unauthorized: {message}")
            answer = JSONResponse({"detail": message}, 401, {"WWW-Authenticate": 'Basic realm="active learning"'})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, headers: dict[bytes, bytes]) -> bool:
        if self._expected is None:
            return True
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        try:
            given = base64.b64decode(value.strip(), validate=True)
        except binascii.Error:
            return False
        matches = [secrets.compare_digest(given, expected) for expected in self._expected]
        return scheme.lower() == b"basic" and any(matches)


def _encodings(credentials: str) -> list[bytes]:
    """The bytes that may stand for `credentials`."""
    encoded = [credentials.encode("utf-8", "surrogateescape")]
    with suppress(UnicodeEncodeError):  # Label Studio cannot send these
        encoded.append(credentials.encode("latin-1"))
    return encoded
