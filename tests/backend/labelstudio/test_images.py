"""Where image bytes may come from, and where not; against a real HTTP server."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from model.images import ImageError


class Handler(BaseHTTPRequestHandler):
    """A host of images, good and bad."""

    def do_GET(self):
        """Answer by path."""
        if self.path == "/data/upload/a.jpg":
            self._send(200, f"bytes for {self.headers.get('Authorization')}".encode())
        elif self.path == "/large":
            self._send(200, b"x" * 5000)
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(30):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path.startswith("/tasks/5/presign/"):
            reference = base64.urlsafe_b64decode(self.path.split("fileuri=")[1]).decode()
            self._send(200, reference.encode())
        else:
            self._send(404, b"")

    def _send(self, status, content):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def host():
    """The address of a running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def source(make_settings, host):
    """Make an image source; by default the server is Label Studio itself."""

    def make(**values):
        settings = make_settings(**({"label_studio_url": host, "label_studio_api_key": "legacy"} | values))
        return ImageSource(settings, LabelStudio(settings))

    return make


ELSEWHERE = {"label_studio_url": "http://localhost:1"}


def test_label_studios_own_files_come_with_its_token(source):
    assert source().fetch(1, "/data/upload/a.jpg") == b"bytes for Token legacy"


def test_the_token_is_sent_to_nobody_else(source, host):
    fetched = source(**ELSEWHERE, allowed_hosts="127.0.0.1").fetch(1, f"{host}/data/upload/a.jpg")
    assert fetched == b"bytes for None"


def test_a_redirect_away_from_label_studio_drops_the_token_and_is_checked_anew(source, host):
    other = host.replace("127.0.0.1", "localhost")
    with pytest.raises(ImageError, match="private address"):
        source().fetch(1, f"/to/{other}/data/upload/a.jpg")


def test_cloud_files_are_resolved_by_label_studio(source):
    assert source().fetch(5, "s3://bucket/päth.jpg") == "s3://bucket/päth.jpg".encode()


@pytest.mark.parametrize("uri", ["data:image/png;base64,aGVsbG8=", "data:,hello"])
def test_data_uris_are_decoded(source, uri):
    assert source().fetch(1, uri) == b"hello"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "no image"),
        ("/data/upload/gone.jpg", "answered 404"),
        ("file:///etc/passwd", "only http"),
        ("ftp://example.org/a.jpg", "only http"),
        ("http://127.0.0.1:1/a.jpg", "private address"),
        ("http://169.254.169.254/latest/meta-data", "private address"),
        ("http://[::1]/a.jpg", "private address"),
        ("http://10.0.0.8/a.jpg", "private address"),
        ("http://no-such-host.invalid/a.jpg", "cannot be fetched"),
        ("http://[broken", "cannot be fetched"),
        ("data:image/png;base64,a", "broken data URI"),
    ],
)
def test_what_cannot_be_had_says_why(source, reference, says):
    with pytest.raises(ImageError, match=says):
        source().fetch(1, reference)


def test_with_allowed_hosts_no_other_is_asked(source):
    with pytest.raises(ImageError, match="not in ALLOWED_HOSTS"):
        source(allowed_hosts="images.example.org").fetch(1, "http://example.org/a.jpg")


def test_a_file_over_the_limit_is_refused(source):
    with pytest.raises(ImageError, match="MAX_IMAGE_BYTES"):
        source(max_image_bytes=1000).fetch(1, "/large")


def test_a_data_uri_over_the_limit_is_refused(source):
    with pytest.raises(ImageError, match="MAX_IMAGE_BYTES"):
        source(max_image_bytes=10).fetch(1, "data:image/png;base64," + "A" * 100)


def test_a_host_that_drips_is_given_up(source):
    with pytest.raises(ImageError, match="IMAGE_SECONDS"):
        source(image_seconds=0.5).fetch(1, "/slow")


def test_endless_redirects_end(source):
    with pytest.raises(ImageError, match="redirect"):
        source().fetch(1, "/to//to//to//to//to//to//data/upload/a.jpg")
