"""Which addresses an image may be fetched from, in every spelling of them. Nothing is asked here but a stand-in resolver."""

import ipaddress
import socket

import httpx
import pytest

from backend.network.guard import AddressRefused, Guard, Reach, reach_of

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::a9fe:a9fe]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata.goog",
    "metadata.tencentyun.com",
    "[fd00:42::42]",
    "instance-data",
]
NOWHERE = ["0.0.0.0", "0", "0.1.2.3", "[::]", "224.0.0.1", "239.255.255.250", "[ff02::1]", "[ff0e::1]"]  # noqa: S104
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[fd12:3456::1]",
    "[fec0::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[100::1]",
    "[4000::1]",
]
SPELLINGS = [
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "2130706433",
    "017700000001",
    "127.0.0.1.",
    "127。0。0。1",
    "localhost",
    "LOCALHOST.",
    "a.b.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]",
]
STAND_INS = {
    "mapped": "[::ffff:{dotted}]",
    "compatible": "[::{hexadecimal}]",
    "translated": "[::ffff:0:{hexadecimal}]",
    "NAT64": "[64:ff9b::{hexadecimal}]",
    "NAT64 within one's own network": "[64:ff9b:1::{hexadecimal}]",
    "NAT64 around eight bits": "[64:ff9b:1:{high}:{low_around}::]",
    "6to4": "[2002:{hexadecimal}::1]",
    "Teredo's client": "[2001:0:808:808:0:0:{inverted}]",
    "Teredo's server": "[2001:0:{hexadecimal}::]",
    "ISATAP": "[2600::5efe:{hexadecimal}]",
}


def standing_for(form, dotted):
    """An IPv6 address that stands for an IPv4 one."""
    number = int(ipaddress.ip_address(dotted))
    high, low = number >> 16, number & 0xFFFF
    around = f"{low >> 8:x}:{(low & 0xFF) << 8:x}"
    inverted = f"{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    return form.format(dotted=dotted, hexadecimal=f"{high:x}:{low:x}", high=f"{high:x}", low_around=around, inverted=inverted)


def refusal(host, *allowed):
    """Why an image at `host` is not fetched."""
    with pytest.raises((AddressRefused, httpx.InvalidURL)) as refused:
        Guard(allowed).check(httpx.URL(f"http://{host}/a.jpg"))
    return str(refused.value)


@pytest.mark.parametrize("host", METADATA + NOWHERE)
@pytest.mark.parametrize("named", [False, True])
def test_metadata_and_addresses_of_no_host_are_refused_even_where_they_are_allowed_by_name(host, named):
    assert "metadata" in refusal(host, *([host] if named else []))


@pytest.mark.parametrize("host", PRIVATE + SPELLINGS)
def test_private_addresses_are_refused_in_every_spelling(host):
    assert "private address; add the host to ALLOWED_HOSTS" in refusal(host)


@pytest.mark.parametrize("dotted", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200"])
@pytest.mark.parametrize("form", STAND_INS.values(), ids=STAND_INS)
def test_ipv6_that_stands_for_a_private_address_is_refused(form, dotted):
    assert "images never come from it" in (said := refusal(standing_for(form, dotted))) or "private address" in said


@pytest.mark.parametrize("form", STAND_INS.values(), ids=STAND_INS)
def test_ipv6_that_stands_for_metadata_is_refused_even_where_it_is_allowed(form):
    host = standing_for(form, "169.254.169.254")
    assert "metadata" in refusal(host, host.strip("[]"))


@pytest.mark.parametrize("host", ["8.8.8.8", "1.1", "134744072", "[2606:4700::1111]", "[64:ff9b::808:808]", "[::ffff:8.8.8.8]"])
def test_public_addresses_may_be_asked(host):
    Guard([]).check(httpx.URL(f"http://{host}/a.jpg"))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:808:808", "2002:808:808::1"])
def test_what_stands_for_a_public_address_is_public(address):
    assert reach_of(ipaddress.ip_address(address)) is Reach.PUBLIC


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("10.0.0.8", "10.0.0.8"),
        ("10.0.0.8", "10.8"),
        ("127.0.0.1", "0x7f.1"),
        ("::1", "[0:0::1]"),
        ("[::1]", "[::1]"),
        ("localhost", "LOCALHOST."),
        ("Images.Example.org", "images.example.org."),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "BÜCHER.example"),
    ],
)
def test_a_host_that_is_allowed_may_be_asked_in_any_spelling_and_on_any_port(allowed, host):
    Guard([allowed]).check(httpx.URL(f"http://{host}:8081/a.jpg"))


@pytest.mark.parametrize("host", ["example.org", "images.example.org.evil.example", "evil-images.example.org", "10.0.0.9"])
def test_with_allowed_hosts_no_other_may_be_asked(host):
    assert refusal(host, "images.example.org", "10.0.0.8").endswith("is not in ALLOWED_HOSTS")


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "javascript", "ws"])
def test_only_http_is_spoken(scheme):
    with pytest.raises(AddressRefused, match="only http"):
        Guard([]).check(httpx.URL(f"{scheme}://example.org/a.jpg"))


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":80",
        "example.org:0",
        "example.org:99999",
        "%31%32%37.0.0.1",
        "0177.0.0.1",
        "１２７.0.0.1",
        "①②⑦.0.0.1",
        "a b",
        "a_b!",
    ],
)
def test_a_host_or_port_that_cannot_be_is_refused(host):
    refusal(host)


@pytest.mark.parametrize("host", ["evil.example\\@10.0.0.1", "evil.example@10.0.0.1", "a@b@10.0.0.1", "8.8.8.8:80@127.1"])
def test_the_host_that_is_judged_is_the_one_behind_the_user_name(host):
    assert "private address" in refusal(host)


@pytest.fixture
def resolver(monkeypatch):
    """Names and what they mean; each question is kept."""
    names, asked = {}, []

    def getaddrinfo(host, port, *_, **__):
        asked.append(host)
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names, asked


def test_a_name_is_asked_for_once_and_gives_its_addresses(resolver):
    names, asked = resolver
    names["images.example"] = ["8.8.8.8", "8.8.4.4", "8.8.8.8"]
    assert Guard([]).addresses(httpx.URL("https://images.example/a.jpg")) == ("8.8.8.8", "8.8.4.4")
    assert asked == ["images.example"]


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fe80::1%eth0", "0.0.0.1"])
def test_a_name_that_means_a_private_address_is_refused(resolver, address):
    resolver[0]["images.example"] = [address]
    with pytest.raises(AddressRefused, match=r"images\.example \("):
        Guard([]).addresses(httpx.URL("http://images.example/a.jpg"))


def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_connected_to(resolver):
    resolver[0]["images.example"] = ["10.0.0.1", "8.8.8.8"]
    assert Guard([]).addresses(httpx.URL("http://images.example/a.jpg")) == ("8.8.8.8",)


def test_a_name_that_is_allowed_may_mean_a_private_address_but_no_metadata(resolver):
    resolver[0]["nas.example"] = ["169.254.169.254", "10.0.0.1"]
    assert Guard(["nas.example"]).addresses(httpx.URL("http://nas.example/a.jpg")) == ("10.0.0.1",)
