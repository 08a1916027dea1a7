"""Answering over HTTP: the token, refusals as Label Studio words them, and faults on demand."""

import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "in.memory.token"  # three parts, as a personal access token has
OPEN = ("/api/token/refresh/", "/health")  # no token is asked for there
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
    """Somebody with a token. sees: ids of the projects that this person may see, None for all."""

    id: int
    email: str
    sees: set[int] | None = None


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
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, query, json.loads(raw) if raw else None, dict(self.headers.items()))
            studio.requests.append(request)
            if studio.out_of_order:
                self.send(studio.out_of_order, b"{}")
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

        def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
