"""What bounds the fetching of an image: size, time, and the errors it may end with, whatever comes."""

import gzip
import itertools
import socket
import threading
import time
import zlib
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.labelstudio.images import SOON
from tests.backend.labelstudio.made_up import IMAGE, MANY, failure, outcome
from tests.backend.network.made_up import Answer


@pytest.mark.parametrize("whose", ["/data/upload/a.jpg", "host"])
class TestLimits:
    """They hold for a host's files and for Label Studio's own."""

    @pytest.fixture
    def fetch(self, whose, source, from_host):
        """Fetch from the server, as from Label Studio or as from another host."""
        return lambda server, **limits: (
            from_host(server, **limits) if whose == "host" else source(server.url, **limits).fetch(1, whose)
        )

    def test_a_file_over_the_limit_is_not_even_read_where_it_says_so(self, serve, fetch):
        server = serve(Answer(200, b"x", {"Content-Length": "5000"}))
        assert "MAX_IMAGE_BYTES" in str(failure(fetch, server, max_image_bytes=1000))

    def test_a_file_without_a_length_is_read_up_to_the_limit(self, serve, fetch):
        sent = itertools.count()
        server = serve(lambda _: Answer(200, (bytes(1_000_000) for _ in itertools.takewhile(lambda n: n < 200, sent))))
        assert "MAX_IMAGE_BYTES" in str(failure(fetch, server, max_image_bytes=1_000_000))
        time.sleep(0.2)
        assert next(sent) < 20

    def test_a_file_just_within_the_limit_is_fetched(self, serve, fetch):
        assert fetch(serve(Answer(200, IMAGE)), max_image_bytes=len(IMAGE)) == IMAGE

    @pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
    def test_compressed_files_are_fetched(self, serve, fetch, compress):
        encoding = "gzip" if compress is gzip.compress else "deflate"
        assert fetch(serve(Answer(200, compress(IMAGE * 1000), {"Content-Encoding": encoding}))) == IMAGE * 1000

    def test_a_small_file_that_becomes_a_large_one_is_refused(self, serve, fetch):
        server = serve(Answer(200, gzip.compress(bytes(MANY)), {"Content-Encoding": "gzip"}))
        assert "MAX_IMAGE_BYTES" in str(failure(fetch, server, max_image_bytes=100_000))

    @pytest.mark.parametrize(("encoding", "says"), [("gzip", "broken compression"), ("br", "was not asked for")])
    def test_a_compression_that_cannot_be_undone_is_refused(self, serve, fetch, encoding, says):
        assert says in str(failure(fetch, serve(Answer(200, IMAGE, {"Content-Encoding": encoding}))))

    def test_deflate_without_the_header_of_zlib_is_fetched(self, serve, fetch):
        bare = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = bare.compress(IMAGE * 1000) + bare.flush()
        assert fetch(serve(Answer(200, body, {"Content-Encoding": "deflate"}))) == IMAGE * 1000

    @pytest.mark.parametrize("encoding", ["aws-chunked", "binary", "none", "UTF-8", "identity"])
    def test_an_encoding_that_changes_nothing_is_passed_over(self, serve, fetch, encoding):
        assert fetch(serve(Answer(200, IMAGE, {"Content-Encoding": encoding}))) == IMAGE
        compressed = Answer(200, gzip.compress(IMAGE), {"Content-Encoding": f"{encoding}, gzip"})
        assert fetch(serve(compressed)) == IMAGE

    def test_what_follows_a_compressed_file_is_not_read(self, serve, fetch):
        sent = itertools.count()
        more = (bytes(1_000_000) for _ in itertools.takewhile(lambda n: n < 200, sent))
        server = serve(lambda _: Answer(200, itertools.chain([gzip.compress(IMAGE)], more), {"Content-Encoding": "gzip"}))
        assert fetch(server) == IMAGE
        time.sleep(0.2)
        assert next(sent) < 20

    @pytest.mark.parametrize("part", ["headers", "body"])
    def test_a_host_that_drips_is_given_up(self, serve_bytes, fetch, part):
        start = b"HTTP/1.1 200 OK\r\n" + (b"" if part == "headers" else b"\r\n")
        started = time.monotonic()
        error = failure(fetch, serve_bytes(start, b"x"), image_seconds=0.6)
        assert ("took longer than IMAGE_SECONDS (0.6)" in str(error), error.again_in) == (True, SOON)
        assert time.monotonic() - started < 2


@pytest.fixture
def serve_bytes():
    """A function that starts a server that sends `start`, and `drop` every tenth of a second; whoami is answered at once."""
    listening = []

    def start(first, drop):
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def drip(connection):
            with connection:
                if b"whoami" in connection.recv(10_000):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    return
                try:
                    connection.sendall(first)
                    while True:
                        connection.sendall(drop)
                        time.sleep(0.1)
                except OSError:
                    return

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for listener in listening:
        listener.close()


def test_a_data_uri_over_the_limit_is_refused(source):
    assert "MAX_IMAGE_BYTES" in str(failure(source(max_image_bytes=10).fetch, 1, "data:image/png;base64," + "A" * 100))


REFERENCES = st.one_of(
    st.text(),
    st.text().map(lambda text: f"http://{text}"),
    st.text().map(lambda text: f"data:{text}"),
    st.text().map(lambda text: f"s3://{text}"),
    st.text(st.characters(codec=None)),
    st.from_regex(r"(http|https|data|s3|file|//|/data/)[:/@\[\]\\?#%.0-9a-f]*", fullmatch=True),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
)
UNHURRIED = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestWhateverComes:
    """Nothing but the documented errors."""

    @pytest.fixture
    def images(self, source, monkeypatch):
        """An image source for which no name means anything, no time passes, and whose hosts answer what `answer` holds."""

        def getaddrinfo(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        monkeypatch.setattr("backend.labelstudio.images.time.sleep", lambda _: None)
        made = source("http://labels.invalid", max_image_bytes=100)
        made.answer = httpx.Response(200, content=b"x")
        made._own_http = made._http = httpx.Client(transport=httpx.MockTransport(lambda _: made.answer))
        return made

    @UNHURRIED
    @given(reference=REFERENCES)
    def test_any_reference_gives_bytes_or_an_image_error(self, reference, images):
        assert isinstance(outcome(images.fetch, 1, reference), bytes | float | None)

    @UNHURRIED
    @given(
        status=st.integers(200, 599),
        headers=st.dictionaries(
            st.sampled_from(["Location", "Content-Encoding", "Content-Length", "Retry-After", "Content-Type", "Set-Cookie"]),
            st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0")).map(str.strip)
            | st.sampled_from(["gzip", "deflate", "0", "-1", "9" * 30, "/x", "http://[", "//", "ftp://x", "http://10.0.0.1/"]),
        ),
        body=st.binary(),
    )
    def test_any_answer_gives_bytes_or_an_image_error(self, status, headers, body, images):
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        images.answer = httpx.Response(status, headers=encoded, stream=Once(body))
        assert isinstance(outcome(images.fetch, 1, "http://8.8.8.8/a.jpg"), bytes | float | None)


class Once(httpx.SyncByteStream):
    """A body that comes in one part."""

    def __init__(self, body):
        self._body = body

    def __iter__(self):
        yield self._body
