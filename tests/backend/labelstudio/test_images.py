"""Where image bytes may come from, and where not; against servers on loopback."""

import base64
import gzip
import itertools
import logging
import socket
import threading
import time
import zlib
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.images import SOON, ImageSource
from model.images import ImageError
from tests.backend.network.made_up import Answer

IMAGE = b"the bytes of an image"
ELSEWHERE = "http://localhost:1"  # nobody answers there
MANY = 50_000_000


@pytest.fixture
def source(make_settings):
    """A function that makes an image source for the Label Studio at `url`, with a legacy token."""
    made = []

    def make(url=ELSEWHERE, **values):
        settings = make_settings(label_studio_url=url, label_studio_api_key="legacy", **values)
        made.append(ImageSource(settings, LabelStudio(settings)))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def from_host(source):
    """A function that fetches a path of a server that is no Label Studio and is allowed by name."""

    def fetch(server, path="/a.jpg", **values):
        return source(allowed_hosts="127.0.0.1", **values).fetch(1, server.url + path)

    return fetch


def failure(fetch, *arguments, **options):
    """What fetching raises."""
    with pytest.raises(ImageError) as raised:
        fetch(*arguments, **options)
    return raised.value


def outcome(fetch, *arguments):
    """The bytes, or after how many seconds to try again."""
    try:
        return fetch(*arguments)
    except ImageError as error:
        return error.again_in


def token_only(request):
    """A Label Studio: its files need its token."""
    return Answer(200, IMAGE) if request.headers["Authorization"] == "Token legacy" else Answer(401)


class TestLabelStudiosOwnFiles:
    def test_come_with_its_token(self, serve, source):
        assert source(serve(token_only).url).fetch(1, "/data/upload/1/a.jpg") == IMAGE

    @pytest.mark.parametrize(
        "path", ["/data/local-files/?d=a.jpg", "/tasks/1/resolve/?fileuri=x", "/projects/1/file-proxy/?u=x"]
    )
    @pytest.mark.parametrize("other", ["http://localhost:1", "https://10.0.0.1", "http://label-studio:8080"])
    def test_come_with_its_token_whatever_host_the_data_name(self, serve, source, path, other):
        server = serve(token_only)
        assert source(server.url).fetch(1, other + path) == IMAGE
        assert server.paths() == [path]

    @pytest.mark.parametrize("start", ["", "/ls", "http://other.invalid/ls"])
    def test_come_from_below_its_host_where_it_answers_there(self, serve, source, start):
        server = serve(token_only)
        assert source(f"{server.url}/ls").fetch(1, f"{start}/data/upload/a.jpg") == IMAGE
        assert server.paths() == ["/ls/data/upload/a.jpg"]

    def test_are_resolved_by_it_where_they_lie_in_a_cloud(self, serve, source):
        server = serve(token_only)
        source(server.url).fetch(5, "s3://bucket/päth.jpg")
        path, _, name = server.asked[0].path.partition("?fileuri=")
        assert (path, base64.urlsafe_b64decode(name).decode()) == ("/tasks/5/presign/", "s3://bucket/päth.jpg")

    def test_of_another_host_whose_path_looks_alike_come_from_there_without_the_token(self, serve, source):
        other, studio = serve(Answer(200, IMAGE)), serve(Answer(404))
        fetched = source(studio.url, allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/data/a.jpg")
        assert (fetched, other.asked[0].headers["Authorization"], studio.asked) == (IMAGE, None, [])

    def test_are_asked_for_at_label_studio_where_the_named_host_is_allowed_and_refuses(self, serve, source):
        other, studio = serve(Answer(403)), serve(token_only)
        assert source(studio.url, allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/data/a.jpg") == IMAGE

    def test_that_neither_has_are_refused_with_both_reasons(self, serve, source):
        other, studio = serve(Answer(403)), serve(Answer(404))
        error = failure(source(studio.url, allowed_hosts="127.0.0.1").fetch, 1, f"{other.url}/data/a.jpg")
        assert "answered 403: it wants a login" in str(error)
        assert "Label Studio answered 404: the file is gone" in str(error)

    @pytest.mark.parametrize(
        "answer", [Answer(401), Answer(500), Answer(502), Answer(504), Answer(302, b"", {"Location": "/user/login/?next=/"})]
    )
    def test_that_fail_alone_cost_themselves_alone_and_are_tried_again_soon(self, serve, source, answer):
        server = serve(lambda request: answer if "bad" in request.path else Answer(200, IMAGE))
        images = source(server.url)
        assert failure(images.fetch, 1, "/bad.jpg").again_in == SOON
        assert images.fetch(2, "/good.jpg") == IMAGE

    def test_that_break_off_cost_themselves_alone(self, serve, source):
        cut = Answer(200, b"x" * 100, {"Content-Length": "10000"})
        server = serve(lambda request: cut if "bad" in request.path else Answer(200, IMAGE))
        error = failure(source(server.url).fetch, 1, "/bad.jpg")
        assert (error.again_in, "closed before the answer was complete" in str(error)) == (SOON, True)

    @pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
    def test_that_fail_with_everything_else_are_an_outage(self, serve, source, status):
        with pytest.raises(LabelStudioError):
            source(serve(Answer(status)).url, image_seconds=0.5).fetch(1, "/data/upload/a.jpg")

    def test_are_an_outage_where_nobody_answers(self, source):
        with pytest.raises(LabelStudioError, match="does not answer"):
            source().fetch(1, "/data/upload/a.jpg")

    def test_that_are_gone_are_their_own_fault(self, serve, source):
        assert failure(source(serve(Answer(404)).url).fetch, 1, "/data/upload/a.jpg").again_in is None

    def test_that_were_deleted_are_their_own_fault_though_label_studio_fails_on_them(self, serve, source):
        body = b"""{"status_code": 500, "detail": "'NoneType' object has no attribute 'has_permission'"}"""
        error = failure(source(serve(Answer(500, body)).url).fetch, 1, "/data/upload/1/a.jpg")
        assert (str(error).partition(":")[2], error.again_in) == (
            " the file is gone, or its storage is not connected to the project",
            None,
        )

    def test_that_it_keeps_behind_another_scheme_name_the_setting(self, serve, source):
        server = serve(Answer(301, b"", {"Location": "https://127.0.0.1/data/upload/a.jpg"}))
        assert "set LABEL_STUDIO_URL" in str(failure(source(server.url).fetch, 1, "/data/upload/a.jpg"))

    @pytest.mark.parametrize("reference", ["s3://bucket/a.jpg", "/tasks/1/resolve/?fileuri=x"])
    def test_are_fetched_from_a_storage_on_another_port_of_its_host(self, serve, source, reference):
        storage = serve(Answer(200, IMAGE))
        studio = serve(Answer(303, b"", {"Location": f"{storage.url}/bucket/a.jpg?X-Amz-Signature=1"}))
        assert source(studio.url, allowed_hosts="127.0.0.1").fetch(1, reference) == IMAGE
        assert storage.asked[0].headers["Authorization"] is None


class TestTheToken:
    def test_is_sent_to_nobody_else(self, serve, source):
        other = serve(Answer(200, IMAGE))
        source(allowed_hosts="127.0.0.1").fetch(1, f"{other.url}/photos/a.jpg")
        assert other.asked[0].headers["Authorization"] is None

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_does_not_follow_a_redirect(self, serve, source, status):
        other = serve(Answer(200, IMAGE))
        studio = serve(Answer(status, b"", {"Location": f"{other.url}/data/upload/a.jpg"}))
        images = source(studio.url.replace("127.0.0.1", "localhost"), allowed_hosts="127.0.0.1")
        assert images.fetch(1, "/tasks/1/presign/?fileuri=x") == IMAGE
        assert [studio.asked[0].headers["Authorization"], other.asked[0].headers["Authorization"]] == ["Token legacy", None]

    def test_is_not_sent_to_where_a_foreign_redirect_says_unless_that_is_label_studio(self, serve, source):
        studio = serve(token_only)
        other = serve(Answer(302, b"", {"Location": f"{studio.url}/data/upload/a.jpg"}))
        images = source(studio.url, allowed_hosts="localhost")
        assert images.fetch(1, other.url.replace("127.0.0.1", "localhost") + "/a.jpg") == IMAGE


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64,aGVsbG8=",
        "data:image/png;base64,aGVsbG8",
        "data:image/png;base64,aGVs\\nbG8=",
        "data:image/png;base64,aGVsbG8%3D",
        "DATA:image/png;charset=utf-8;BASE64,aGVsbG8=",
        "data:,hello",
        "data:text/plain,h%65llo",
        " data:,hello",
    ],
)
def test_data_uris_are_decoded(source, uri):
    assert source().fetch(1, uri.replace("\\n", "\n")) == b"hello"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("", "no image"),
        (" \n", "no image"),
        (None, "no image"),
        (5, "no image"),
        (["a"], "no image"),
        ("file:///etc/passwd", "only http"),
        ("ftp://example.org/a.jpg", "only http"),
        ("C:\\\\photos\\\\a.jpg", "only http"),
        ("http://127.0.0.1:1/a.jpg", "private address"),
        ("http://169.254.169.254/latest/meta-data", "metadata"),
        ("http://[::1]/a.jpg", "private address"),
        ("http://10.0.0.8/a.jpg", "private address"),
        ("http://localhost/a.jpg", "private address"),
        ("http://no-such-host.invalid/a.jpg", "cannot be fetched"),
        ("http://[broken", "names no host"),
        ("http://a..b/a.jpg", "cannot be fetched"),
        ("http:///a.jpg", "names no host"),
        ("data:image/png;base64,a", "broken data URI"),
        ("data:image/png;base64", "broken data URI"),
        ("s3://bucket/\\ud800", "cannot be fetched"),
    ],
)
def test_what_cannot_be_had_says_why(source, reference, says):
    assert says in str(
        failure(source().fetch, 1, reference.encode().decode("unicode-escape") if isinstance(reference, str) else reference)
    )


@pytest.mark.parametrize(
    "host",
    [
        "[::7f00:1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:a00:1::]",
        "[fec0::1]",
        "192.0.0.192",
        "2130706433",
        "127.1",
        "localhost",
    ],
)
def test_what_is_refused_is_not_asked(source, host):
    asked, images = [], source()
    images._http = httpx.Client(transport=httpx.MockTransport(lambda request: (asked.append(request), httpx.Response(200))[1]))
    failure(images.fetch, 1, f"http://{host}/a.jpg")
    assert asked == []


def test_with_allowed_hosts_no_other_is_asked(source):
    assert "not in ALLOWED_HOSTS" in str(
        failure(source(allowed_hosts="images.example.org").fetch, 1, "http://example.org/a.jpg")
    )


def test_each_redirect_is_checked_anew(serve, source):
    server = serve(Answer(302, b"", {"Location": "http://10.0.0.1/a.jpg"}))
    assert "10.0.0.1 is not in ALLOWED_HOSTS" in str(failure(source(allowed_hosts="127.0.0.1").fetch, 1, server.url))


def test_redirects_are_followed(serve, from_host):
    server = serve(lambda r: Answer(302, b"", {"Location": "b.jpg?c=1"}) if r.path == "/d/a.jpg" else Answer(200, IMAGE))
    assert (from_host(server, "/d/a.jpg"), server.paths()) == (IMAGE, ["/d/a.jpg", "/d/b.jpg?c=1"])


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_to_nowhere_costs_itself_alone(serve, from_host, status):
    assert f"answered {status}, a redirect that does not say where to" in str(failure(from_host, serve(Answer(status))))


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/a", "file:///etc/passwd", "javascript:1", "http://[::1", "http://h:99999/", "//"]
)
def test_a_redirect_to_what_cannot_be_fetched_costs_itself_alone(serve, from_host, location):
    failure(from_host, serve(Answer(302, b"", {"Location": location})))


def test_endless_redirects_end(serve, from_host):
    server = serve(Answer(302, b"", {"Location": "/a.jpg"}))
    assert ("more than 5 redirects" in str(failure(from_host, server)), len(server.asked)) == (True, 5)


def test_a_longer_chain_takes_no_longer_than_one_image_may(serve, from_host):
    def answer(_):
        time.sleep(0.3)
        return Answer(302, b"", {"Location": "/a.jpg"})

    started = time.monotonic()
    failure(from_host, serve(answer), image_seconds=0.5)
    assert time.monotonic() - started < 1


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


def busy(times, **headers):
    """A host that answers `times` times 429."""
    left = [Answer(429, b"", headers)] * times
    return lambda _: left.pop() if left else Answer(200, IMAGE)


class TestABusyHost:
    def test_is_waited_for_as_long_as_it_asks(self, serve, from_host):
        started = time.monotonic()
        assert from_host(serve(busy(1, **{"Retry-After": "1"})), image_seconds=5) == IMAGE
        assert time.monotonic() - started >= 1

    def test_that_names_no_time_is_asked_again_a_few_times(self, serve, from_host, monkeypatch):
        waits = []
        monkeypatch.setattr("backend.labelstudio.images.time.sleep", waits.append)
        assert from_host(serve(busy(3))) == IMAGE
        assert waits == [1, 2, 4]

    @pytest.mark.parametrize(("asks", "again_in"), [("300", 300), ("1000000", 3600), ("30", SOON)])
    def test_that_asks_for_longer_than_one_image_may_take_is_tried_again_later(self, serve, from_host, asks, again_in):
        error = failure(from_host, serve(Answer(429, b"", {"Retry-After": asks})), image_seconds=3)
        assert ("asks to come again later" in str(error), error.again_in) == (True, again_in)

    @pytest.mark.parametrize(
        "value", ["soon", "-1", "1e9", "Wed, 99 Foo 2020", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400, "²"]
    )
    def test_may_ask_in_any_words(self, serve, from_host, value, monkeypatch):
        monkeypatch.setattr("backend.labelstudio.images.time.sleep", lambda _: None)
        assert outcome(from_host, serve(busy(1, **{"Retry-After": value}))) in (IMAGE, 3600)


@pytest.mark.parametrize(
    ("status", "again_in"), [(400, None), (403, None), (404, None), (204, None), (500, SOON), (504, SOON), (408, SOON)]
)
def test_what_may_pass_by_itself_is_tried_again_soon(serve, from_host, status, again_in):
    error = failure(from_host, serve(Answer(status)))
    assert (f"answered {status}" in str(error), error.again_in) == (True, again_in)


def test_a_host_that_nobody_answers_at_is_tried_again_soon(source):
    assert failure(source(allowed_hosts="127.0.0.1").fetch, 1, "http://127.0.0.1:1/a.jpg").again_in == SOON


def test_hosts_see_who_asks(serve, from_host):
    server = serve(Answer(200, IMAGE))
    from_host(server)
    assert server.asked[0].headers["User-Agent"].startswith("label-studio-active-learning/")


def test_a_connection_that_the_host_closed_meanwhile_is_made_anew(serve, from_host):
    answers = [Answer(200, b"x", {"Content-Length": "9"}), Answer(200, IMAGE)]
    server = serve(lambda _: answers.pop(0))
    assert (from_host(server), len(server.asked)) == (IMAGE, 2)


class TestNames:
    """What is connected to is what was checked. The resolver is a stand-in; connections go to loopback or nowhere."""

    @pytest.fixture
    def means(self, monkeypatch):
        """A function that says what a name means, question by question."""

        def make(*addresses):
            left = list(addresses)

            def getaddrinfo(_, port, *__, **___):
                address = left.pop(0) if len(left) > 1 else left[0]
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

            monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

        return make

    @pytest.fixture
    def dialled(self, monkeypatch):
        """The addresses that connections are made to; none is made."""
        found = []

        def create_connection(address, *_, **__):
            found.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "create_connection", create_connection)
        return found

    def test_a_name_is_connected_to_by_the_address_that_was_checked(self, source, means, dialled):
        means("8.8.8.8", "127.0.0.1")
        failure(source().fetch, 1, "http://images.example/a.jpg")
        assert dialled == [("8.8.8.8", 80)]

    def test_a_name_that_means_a_private_address_is_not_connected_to(self, source, means, dialled):
        means("127.0.0.1")
        assert "images.example (127.0.0.1) is a private address" in str(
            failure(source().fetch, 1, "http://images.example/a.jpg")
        )
        assert dialled == []

    def test_the_host_is_asked_under_its_name(self, serve, source, means):
        server = serve(Answer(200, IMAGE))
        means("127.0.0.1")
        port = server.url.rpartition(":")[2]
        assert source(allowed_hosts="images.example").fetch(1, f"http://images.example:{port}/a.jpg") == IMAGE
        assert server.asked[0].headers["Host"] == f"images.example:{port}"


class TestBehindAProxy:
    @pytest.fixture
    def proxy(self, serve, monkeypatch):
        """A proxy on a private address that answers for every host."""
        server = serve(Answer(200, IMAGE))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, server.url)
        return server

    @pytest.mark.parametrize("host", ["8.8.8.8", "no-such-host.invalid"])
    def test_public_images_come_through_it(self, proxy, source, host):
        assert source().fetch(1, f"http://{host}/a.jpg") == IMAGE
        assert proxy.paths() == [f"http://{host}/a.jpg"]

    @pytest.mark.parametrize(
        "host", ["10.0.0.1", "127.1", "localhost", "metadata.google.internal", "169.254.169.254", "[64:ff9b::a00:1]"]
    )
    def test_private_targets_stay_refused(self, proxy, source, host):
        failure(source().fetch, 1, f"http://{host}/a.jpg")
        assert proxy.asked == []

    def test_that_asks_for_a_password_is_said_to_be_the_proxy(self, serve, source, monkeypatch):
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, serve(Answer(407)).url)
        error = failure(source().fetch, 1, "http://images.example/a.jpg")
        assert ("the proxy to images.example asks for a password" in str(error), error.again_in) == (True, SOON)

    def test_allowed_hosts_hold(self, proxy, source):
        failure(source(allowed_hosts="images.example").fetch, 1, "http://other.example/a.jpg")
        assert proxy.asked == []

    def test_its_password_is_never_told(self, source, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://user:pa55word@127.0.0.1:1")
        assert "pa55" not in str(failure(source().fetch, 1, "http://8.8.8.8/a.jpg"))


SECRET = "5ecre7"


@pytest.mark.parametrize(
    "answer", [Answer(403), Answer(500), Answer(200, b"x" * 2000), Answer(302, b"", {"Location": f"/b?sig={SECRET}"})]
)
def test_no_message_and_no_log_line_holds_a_signature_or_a_password(serve, from_host, caplog, answer):
    caplog.set_level(logging.DEBUG)
    server = serve(answer)
    server.url = server.url.replace("://", f"://user:{SECRET}@")
    error = failure(from_host, server, f"/{SECRET}/a.jpg?X-Amz-Signature={SECRET}", max_image_bytes=1000)
    said, cause = [caplog.text, str(error)], error
    while cause := cause.__cause__ or cause.__context__:
        said.append(repr(cause))
    assert SECRET not in " ".join(said)


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
