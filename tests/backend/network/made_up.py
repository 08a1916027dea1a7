"""A server on loopback that answers what a test says, and what is made for it."""

import ssl
import threading
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Answer:
    """What the server sends: its status, headers and body, which may also be an iterable of parts that come one by one."""

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """A request: its method, path with query, headers and body."""

    method: str
    path: str
    headers: Message
    body: bytes


class Server(ThreadingHTTPServer):
    """Answers with `answer(request)`, an Answer for an Asked; what was asked stands in `asked`."""

    daemon_threads = True
    url: str
    asked: list[Asked]

    def handle_error(self, *_):
        """A client that goes away in the middle is no error."""

    def paths(self):
        """The paths that were asked for, in order."""
        return [request.path for request in self.asked]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """Nothing of the environment's proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve():
    """A function that starts a server; tls: its certificate and key, as files."""
    servers = []

    def start(answer, tls=None):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Asked(self.command, self.path, self.headers, body)
                server.asked.append(request)
                given = answer(request) if callable(answer) else answer
                self.send_response_only(given.status)
                parts = [given.body] if isinstance(given.body, bytes) else given.body
                whole = {"Content-Length": str(len(given.body))} if isinstance(given.body, bytes) else {"Connection": "close"}
                for name, value in (whole | given.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                for part in parts:
                    self.wfile.write(part)
                if "Content-Length" in given.headers or not isinstance(given.body, bytes):
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_DELETE = any

            def log_message(self, *_):
                """Keep quiet."""

        server = Server(("127.0.0.1", 0), Handler)
        server.url, server.asked = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", []
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
