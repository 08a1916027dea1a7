"""Which proxy an address goes through."""

import httpx
import pytest

from backend.network.proxies import Proxies, ProxyError

PROXY = "http://proxy.example:3128"


def through(url, no="", **variables):
    """The proxy for `url`, as text; empty for none."""
    return str(Proxies((variables or {"http": PROXY, "https": PROXY}) | {"no": no}).of(httpx.URL(url)) or "")


def test_without_a_proxy_every_address_is_asked_directly():
    assert Proxies({}).of(httpx.URL("http://images.example/a.jpg")) is None


def test_each_scheme_has_its_proxy_and_all_stands_for_the_others():
    variables = {"https": "http://a.example", "all": "http://b.example"}
    assert [through(f"{scheme}://images.example/", **variables) for scheme in ("https", "http")] == [
        "http://a.example",
        "http://b.example",
    ]


def test_a_proxy_may_come_without_a_scheme():
    assert through("http://images.example/", http="10.0.0.1:3128") == "http://10.0.0.1:3128"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "127.1", "0.0.0.0", "ls.localhost"])  # noqa: S104
def test_this_machine_is_asked_directly(host):
    assert through(f"http://{host}:8080/") == ""


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("*", "images.example"),
        ("images.example", "images.example"),
        ("images.example", "a.images.example"),
        (".images.example", "a.images.example"),
        ("*.images.example", "a.images.example"),
        ("IMAGES.example.", "images.EXAMPLE"),
        ("images.example:8080", "images.example:8080"),
        ("http://images.example", "images.example"),
        ("https://images.example:8080/", "images.example:8080"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.2.3.4"),
        ("fd07:b51a:cc66:f0::/64", "[fd07:b51a:cc66:f0::1]"),
        ("[fd07:b51a:cc66:f0::]/64", "[fd07:b51a:cc66:f0::1]"),
        ("[fd12::1]", "[fd12::1]"),
        ("fd12::1", "[fd12:0::1]"),
        ("[fd12::1]:8080", "[fd12::1]:8080"),
        ("a.example, images.example ,b.example", "images.example"),
        ("a.example images.example", "images.example"),
    ],
)
def test_no_proxy_is_understood_as_people_write_it(entry, host):
    assert through(f"http://{host}/a.jpg", entry) == ""


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("images.example", "notimages.example"),
        ("images.example:8080", "images.example"),
        ("10.0.0.0/8", "11.2.3.4"),
        ("0.0.0.1", "10.0.0.1"),
        ("fd07:b51a:cc66:f0::/64", "[fd07:b51a:cc66:f1::1]"),
        ("[::1]", "images.example"),
        ("10.0.0.0/99", "10.0.0.1"),
        ("]]:::[,,://,:,*x", "images.example"),
    ],
)
def test_other_addresses_go_through_the_proxy_whatever_stands_in_no_proxy(entry, host):
    assert through(f"http://{host}/a.jpg", entry) == PROXY


@pytest.mark.parametrize("value", ["ftp://proxy.example", "http://", "http://[broken", "http://user:pa55@host:port", "://"])
def test_a_proxy_that_cannot_be_is_named_by_its_variable_without_its_password(value):
    with pytest.raises(ProxyError, match="HTTP_PROXY is no address of a proxy") as refused:
        Proxies({"http": value})
    assert "pa55" not in str(refused.value)
