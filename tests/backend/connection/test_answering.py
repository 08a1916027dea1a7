"""Who answers at an address is told apart: ours, another plugin, another service, nobody."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.connection.answering import PLUGIN, who_answers, why_not_ours


@pytest.fixture
def serve():
    """Start a server that answers everything with one body; returns its address."""
    servers = []

    def start(body, status=200):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def health(identity):
    return json.dumps({"status": "UP", "plugin": PLUGIN, "identity": identity}).encode()


def test_this_plugin_with_this_data_dir_is_ours(serve):
    assert why_not_ours(serve(health("here")), "here") == ""


def test_another_data_dir_is_named(serve):
    assert "another DATA_DIR" in why_not_ours(serve(health("there")), "here")


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"[]", b"null", b'{"status": "UP"}', b'{"plugin": 1, "identity": 2}', b"\xff"]
)
def test_another_service_is_no_plugin(serve, body):
    assert "another service answers there (200" in why_not_ours(serve(body), "here")


def test_an_error_page_is_another_service(serve):
    assert "(502" in why_not_ours(serve(b"Bad gateway", 502), "here")


def test_nobody_is_told_apart_from_a_service():
    found = who_answers("http://127.0.0.1:1")
    assert (found.reached, found.trouble) == (False, "nobody listens there (connection refused)")


def test_an_unknown_host_is_named_as_such():
    assert who_answers("http://no-such-host.invalid:9090").trouble == "its host name is not known here"


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://a b", "nonsense", "http://host:99999"])
def test_an_address_that_is_none_is_no_crash(url):
    assert who_answers(url).trouble
