"""Clients that keep to a deadline and connect to addresses that were checked; over TLS too."""

import ssl
import subprocess
import time

import httpx
import pytest

from backend.network import transport
from backend.network.proxies import Proxies
from backend.network.transport import make_client, request_within
from tests.backend.network.made_up import Answer

NAME = "images.example"


@pytest.fixture
def client():
    """A client that connects to checked addresses only."""
    with make_client(Proxies({}), 5, checked=True) as made:
        yield made


def soon():
    return time.monotonic() + 5


def test_without_a_checked_address_nothing_is_connected_to(serve, client):
    server = serve(Answer(200))
    with pytest.raises(httpx.ConnectError):
        client.get(server.url)
    assert server.asked == []


def test_the_next_address_is_tried_where_one_does_not_answer(serve, client):
    server = serve(Answer(200, b"x"))
    with request_within(soon(), ["127.0.0.2", "127.0.0.1"]):
        assert client.get(server.url.replace("127.0.0.1", NAME)).content == b"x"


def test_a_deadline_that_is_over_sends_nothing(serve, client):
    server = serve(Answer(200))
    with request_within(time.monotonic() - 1, ["127.0.0.1"]), pytest.raises(httpx.TimeoutException):
        client.get(server.url)
    assert server.asked == []


def test_a_deadline_ends_with_its_block(serve, client):
    server = serve(Answer(200))
    with request_within(time.monotonic() - 1, ["127.0.0.1"]):
        pass
    with request_within(soon(), ["127.0.0.1"]):
        assert client.get(server.url).status_code == 200


@pytest.fixture
def certified(tmp_path, monkeypatch, serve):
    """A function that starts a server with a certificate for NAME, which is trusted."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport.certificates.cache_clear()
    yield lambda answer: serve(answer, tls=(certificate, key))
    transport.certificates.cache_clear()


def test_the_certificate_must_be_that_of_the_name_and_the_connection_goes_to_the_checked_address(certified):
    server = certified(Answer(200, b"x"))
    address = server.url.replace("127.0.0.1", NAME)
    with make_client(Proxies({}), 5, checked=True) as client, request_within(soon(), ["127.0.0.1"]):
        assert client.get(address).content == b"x"
        assert server.asked[0].headers["Host"] == address.removeprefix("https://")


def test_a_certificate_of_another_name_is_refused(certified):
    address = certified(Answer(200)).url.replace("127.0.0.1", "other.example")
    with (
        make_client(Proxies({}), 5, checked=True) as client,
        request_within(soon(), ["127.0.0.1"]),
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get(address)


def test_connections_are_kept_for_the_next_request(serve, client):
    server = serve(Answer(200))
    with request_within(soon(), ["127.0.0.1"]):
        client.get(server.url)
    with request_within(soon(), ["192.0.2.1"]):  # where nobody answers
        assert client.get(server.url).status_code == 200


def test_a_context_of_tls_asks_for_certificates():
    assert transport.certificates().verify_mode is ssl.CERT_REQUIRED
