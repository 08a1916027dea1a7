"""Answering over HTTP: the token, refusals as Label Studio words them, and faults on demand."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "in.memory.token"  # three parts, as a personal access token has
OPEN = ("/api/token/refresh/", "/health", "/api/version")  # no token is asked for there
SIGN_UP = "/user/signup/"
MAKES = re.compile(r"/api/(ml|webhooks|projects|predictions|dm/views|tasks/\d+/annotations|.*import.*)/?")  # 201 to a POST


class Refused(Exception):
    """An answer that is no success: its status, and what Label Studio says."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class Fault:
    """The next request of `method` whose path matches `path` gets `status`; with `done` it takes effect before."""

    method: str
    path: str
    status: int = 500
    done: bool = False
    times: int = 1


@dataclass
class Person:
    """Somebody with a token. sees: ids of the projects that this person may see, None for all; organization: the active one."""

    id: int
    email: str
    sees: set[int] | None = None
    organization: int | None = 1


@dataclass
class Request:
    """One request: `query` by name, `body` as JSON."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def handler(studio: Any) -> type[BaseHTTPRequestHandler]:
    """What answers each request for `studio`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # an answer leaves at once

        def any(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = "form" not in self.headers.get("Content-Type", "")
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            request = Request(
                self.command, parts.path, query, json.loads(raw) if raw and is_json else None, dict(self.headers.items())
            )
            studio.requests.append(request)
            if studio.out_of_order:
                self.send(studio.out_of_order, b"{}")
            elif parts.path == SIGN_UP:
                self.sign_up(request)
            elif parts.path not in OPEN and not studio.person(request):
                self.send(401, json.dumps({"detail": "Given token not valid for any token type"}).encode())
            elif parts.path in studio.files:
                self.send(200, studio.files[parts.path], "application/octet-stream")
            else:
                self.send(*self.answered(request))

        def answered(self, request: Request) -> tuple[int, bytes]:
            try:
                found = studio.answer(request)
            except Refused as refusal:
                errors = refusal.detail if isinstance(refusal.detail, dict) else {"non_field_errors": refusal.detail}
                plain = {"detail": refusal.detail} if isinstance(refusal.detail, str) else {"validation_errors": errors}
                return refusal.status, json.dumps(plain | {"status_code": refusal.status}).encode()
            made = request.method == "POST" and MAKES.fullmatch(request.path)
            return (204, b"") if found is None else (201 if made else 200, json.dumps(found).encode())

        def sign_up(self, request: Request) -> None:
            """The form, and what becomes of one without name and password."""
            if request.method == "GET":
                self.send(200, b"<html></html>", "text/html", {"Set-Cookie": "csrftoken=abc; Path=/"})
            elif request.headers.get("Cookie") != "csrftoken=abc":
                self.send(403, b"<html>CSRF verification failed</html>", "text/html")
            else:
                self.send(200 if studio.sign_up_is_open else 403, b"<html>This field is required</html>", "text/html")

        def send(
            self, status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] = MappingProxyType({})
        ) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + studio.clock_off, usegmt=True))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
