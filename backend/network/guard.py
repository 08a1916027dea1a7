"""Which addresses an image may be fetched from: never cloud metadata, private ones only of hosts in ALLOWED_HOSTS.

What an address literal means is told here without asking anybody; what a name means is asked once, and the connection is
made to the addresses that were checked (backend.network.transport), so that a name cannot change in between.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from enum import IntEnum

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressRefused(ValueError):
    """An address that no image is fetched from; the message says why."""


class Reach(IntEnum):
    """What an address reaches, the worst last."""

    PUBLIC = 0
    PRIVATE = 1
    FORBIDDEN = 2


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


FORBIDDEN = _networks(
    "0.0.0.0/8",  # this host
    "169.254.0.0/16",  # link-local: metadata of AWS, Azure, Google, OpenStack and others
    "100.100.100.200/32",  # Alibaba's metadata
    "168.63.129.16/32",  # Azure's host
    "192.0.0.192/32",  # Oracle's metadata
    "fd00:ec2::/32",  # AWS's metadata
    "fd20:ce::254/128",  # Google's metadata
    "fd00:42::42/128",  # Scaleway's metadata
    "fe80::/10",
)
PRIVATE = _networks(
    "192.0.0.0/24",
    "192.88.99.0/24",  # once 6to4's relays
    "fec0::/10",  # site-local
    "64:ff9b:1::/48",  # NAT64 within one's own network
    "2001::/32",  # Teredo
    "3fff::/20",  # documentation
)
STAND_INS = _networks("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")  # IPv6 for an IPv4 address: mapped, translated, NAT64
COMPATIBLE = ipaddress.ip_network("::/96")  # IPv4 in IPv6's first form
SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
HOST = re.compile(r"[a-z0-9._:-]+")
LOCAL_NAMES = ("localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback")
METADATA_NAMES = (
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
)


def reach_of(address: Address) -> Reach:
    """What `address` reaches, addresses that stand in it for IPv4 included."""
    if address.is_multicast or any(address in network for network in FORBIDDEN):
        return Reach.FORBIDDEN
    inner = max((reach_of(each) for each in embedded(address)), default=Reach.PUBLIC)
    if any(address in network for network in STAND_INS):
        return inner
    private = not address.is_global or address.is_reserved or any(address in network for network in PRIVATE)
    return max(inner, Reach.PRIVATE if private else Reach.PUBLIC)


def embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address holds: mapped, translated, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return []
    number = int(address)
    found = []
    if address in COMPATIBLE or address in NAT64_LOCAL or any(address in network for network in STAND_INS):
        found.append(number)
    if address in NAT64_LOCAL:  # RFC 6052: around eight bits of zero
        found.append((number >> 48 & 0xFFFF_0000) | (number >> 40 & 0xFFFF))
    if address in SIX_TO_FOUR:
        found.append(number >> 80)
    if address.teredo:
        return list(address.teredo)
    if number >> 32 & 0xFDFF_FFFF == 0x5EFE:  # ISATAP
        found.append(number)
    return [ipaddress.IPv4Address(each & 0xFFFF_FFFF) for each in found]


def literal(host: str) -> Address | None:
    """The address that `host` is, in any spelling that a resolver takes (127.1, 0x7f000001, 017700000001); None for a name."""
    text = host.rstrip(".")
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, UnicodeError):
        return None


def normal(host: str) -> str:
    """One spelling for each host: an address as its digits, a name in small ASCII letters without a dot at its end."""
    address = literal(host.strip("[]"))
    if address is not None:
        return str(address)
    try:
        return httpx.URL(scheme="http", host=host.rstrip(".")).raw_host.decode().lower()
    except (httpx.InvalidURL, ValueError):
        return host.lower()


class Guard:
    """Refuses addresses. allowed: hosts that alone may be asked, private ones too; empty for any public host."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(normal(host) for host in allowed)

    def allows_by_name(self, url: httpx.URL) -> bool:
        """Whether the host is in ALLOWED_HOSTS."""
        return normal(url.host) in self._allowed

    def check(self, url: httpx.URL) -> None:
        """Refuse what can be refused without asking a name server. Raises AddressRefused."""
        if url.scheme not in ("http", "https"):
            raise AddressRefused("only http, https, data, s3, gs and azure-blob references can be fetched")
        host = normal(url.host)
        if not HOST.fullmatch(host) or (url.port is not None and not 0 < url.port < 65536):
            raise AddressRefused("its address names no host, or a port that cannot be")
        if host in METADATA_NAMES:
            raise AddressRefused(f"{host} holds a cloud's metadata, never images")
        if self._allowed and host not in self._allowed:
            raise AddressRefused(f"host {host} is not in ALLOWED_HOSTS")
        if host in LOCAL_NAMES or host.endswith(".localhost"):
            self._judge(host, Reach.PRIVATE, url)
        address = literal(host)
        if address is not None:
            self._judge(str(address), reach_of(address), url)

    def addresses(self, url: httpx.URL) -> tuple[str, ...]:
        """The addresses of the host that may be connected to, in order. Raises AddressRefused; OSError for no such name."""
        self.check(url)
        host = url.raw_host.decode().rstrip(".")
        port = url.port or (443 if url.scheme == "https" else 80)
        answers = socket.getaddrinfo(str(literal(host) or host), port, type=socket.SOCK_STREAM)
        refusal = AddressRefused(f"{host} has no address")
        good = []
        for *_, end in answers:
            text = str(end[0]).partition("%")[0]
            try:
                self._judge(text, reach_of(ipaddress.ip_address(text)), url)
                good.append(text)
            except AddressRefused as error:
                refusal = error
        if not good:
            raise refusal
        return tuple(dict.fromkeys(good))

    def _judge(self, address: str, reach: Reach, url: httpx.URL) -> None:
        host = normal(url.host)
        whose = address if address == host else f"{host} ({address})"
        if reach is Reach.FORBIDDEN:
            raise AddressRefused(
                f"{whose} is of a range that holds cloud metadata or reaches no host; images never come from it"
            )
        if reach is Reach.PRIVATE and host not in self._allowed:
            raise AddressRefused(f"{whose} is a private address; add the host to ALLOWED_HOSTS if you trust it")
