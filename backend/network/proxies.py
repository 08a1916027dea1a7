"""The proxy that the environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

import ipaddress
import re
import urllib.request
from collections.abc import Mapping

import httpx

from backend.network.guard import HOST, LOCAL_NAMES, Network, literal, normal

HOST_AND_PORT = re.compile(r"(\[(?P<bracketed>[^\]]*)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")
SCHEMES = ("http", "https", "socks5", "socks5h")


class ProxyError(ValueError):
    """A proxy's address that cannot be; the message names the variable and holds no password."""


class Proxies:
    """Which proxy an address goes through. variables: by scheme, as urllib.request.getproxies gives them, NO_PROXY as `no`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._proxies = {
            scheme: _proxy(scheme, variables[scheme].strip())
            for scheme in ("http", "https", "all")
            if variables.get(scheme, "").strip()
        }
        self._exceptions = [_Exception(entry) for entry in variables.get("no", "").replace(",", " ").split()]

    @classmethod
    def of_environment(cls) -> "Proxies":
        """The proxies that this process's environment names. Raises ProxyError."""
        return cls(urllib.request.getproxies())

    def of(self, url: httpx.URL) -> httpx.URL | None:
        """The proxy for `url`; None where it is asked directly, as everything on this machine is."""
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy is None:
            return None
        host, address = normal(url.host), literal(url.host)
        if host in LOCAL_NAMES or host.endswith(".localhost"):
            return None
        if address is not None and (address.is_loopback or address.is_unspecified):
            return None
        return None if any(exception.holds(host, url) for exception in self._exceptions) else proxy

    def every(self) -> set[httpx.URL]:
        """All proxies that are named."""
        return set(self._proxies.values())


class _Exception:
    """One entry of NO_PROXY: `*`, a host or domain, an address, a network, each with or without port, brackets, scheme."""

    def __init__(self, entry: str) -> None:
        scheme, address, rest = entry.lower().partition("://")
        entry = rest.partition("/")[0] if address else scheme
        self._all = entry == "*"
        match = HOST_AND_PORT.fullmatch(entry)
        bare, port = (
            (match["bracketed"] or match["host"], match["port"]) if match else (entry.replace("[", "").replace("]", ""), None)
        )
        self._port = int(port) if port else None
        self._network = _network(bare)
        self._host = normal(bare.removeprefix("*").removeprefix("."))

    def holds(self, host: str, url: httpx.URL) -> bool:
        port = url.port or (443 if url.scheme == "https" else 80)
        if self._all:
            return True
        if self._port not in (None, port):
            return False
        address = literal(host)
        if self._network is not None:
            return address is not None and address in self._network
        return bool(self._host) and (host == self._host or (address is None and host.endswith(f".{self._host}")))


def _network(entry: str) -> Network | None:
    """The addresses an entry means: one, or a network; None for a name."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _proxy(scheme: str, value: str) -> httpx.URL:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if url.scheme not in SCHEMES or not HOST.fullmatch(normal(url.host)) or url.port == 0:
        raise ProxyError(
            f"{scheme.upper()}_PROXY is no address of a proxy: set it to one such as http://proxy.example.com:3128, or unset it"
        )
    return url
