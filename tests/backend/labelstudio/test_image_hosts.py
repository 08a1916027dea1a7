"""Images on other hosts: whom is asked, what a redirect, a busy host or a proxy does, and what messages tell."""

import logging
import socket
import time

import httpx
import pytest

from backend.labelstudio.images import SOON
from tests.backend.labelstudio.made_up import IMAGE, failure, outcome
from tests.backend.network.made_up import Answer


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
    assert time.monotonic() - started < 5 * 0.3  # what the whole chain takes


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
