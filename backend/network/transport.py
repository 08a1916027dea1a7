"""HTTP clients that keep to a deadline, go through the environment's proxies, and connect to addresses that were checked."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from backend import __version__
from backend.network.proxies import Proxies, ProxyError

USER_AGENT = f"label-studio-active-learning/{__version__}"
CONNECT_SECONDS = 10.0

for _name in ("httpx", "httpcore"):  # they log whole addresses, with the signatures in them
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class _Request:
    """What holds for this thread's requests: when they end, and the addresses that were checked for a direct connection."""

    deadline: float = float("inf")
    addresses: tuple[str, ...] = ()


_request: ContextVar[_Request] = ContextVar("request", default=_Request())  # noqa: B039  frozen


@contextmanager
def request_within(deadline: float, addresses: Iterable[str] = ()) -> Iterator[None]:
    """Requests in this block end by `deadline` (time.monotonic()), however slowly bytes come.

    addresses: where a direct connection of a client with `checked` goes, whatever the name means by then.
    """
    token = _request.set(_Request(deadline, tuple(addresses)))
    try:
        yield
    finally:
        _request.reset(token)


def make_client(proxies: Proxies, timeout: float, checked: bool = False) -> httpx.Client:
    """An HTTP client. checked: direct connections go only to the addresses of `request_within`. Raises ProxyError."""
    return httpx.Client(
        transport=_Transport(proxies, checked),
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept
        trust_env=False,  # proxies are ours; SSL_CERT_FILE is read all the same
    )


class _Transport(httpx.BaseTransport):
    """Sends each request directly or through its proxy, over connections that are kept."""

    def __init__(self, proxies: Proxies, checked: bool) -> None:
        self._proxies = proxies
        self._direct = _Pool(httpcore.ConnectionPool(network_backend=_Dialler(checked), **_pool_options()))
        self._through = {proxy: _Pool(_proxy_pool(proxy)) for proxy in proxies.every()}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.of(request.url)
        return (self._direct if proxy is None else self._through[proxy]).handle_request(request)

    def close(self) -> None:
        for pool in (self._direct, *self._through.values()):
            pool.close()


class _Pool(httpx.HTTPTransport):
    """httpx's transport over a pool of ours, since it lets nobody choose how connections are made."""

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool


def _proxy_pool(url: httpx.URL) -> Any:
    proxy = httpx.Proxy(url)
    options = _pool_options() | {"network_backend": _Dialler(checked=False)}
    if proxy.url.scheme.startswith("socks"):
        if find_spec("socksio") is None:
            raise ProxyError("a proxy of the environment speaks SOCKS, which needs a package more: pip install 'httpx[socks]'")
        return httpcore.SOCKSProxy(proxy_url=str(proxy.url), proxy_auth=proxy.raw_auth, **options)
    tls = certificates() if proxy.url.scheme == "https" else None
    return httpcore.HTTPProxy(proxy_url=str(proxy.url), proxy_auth=proxy.raw_auth, proxy_ssl_context=tls, **options)


def _pool_options() -> dict[str, Any]:
    return {"ssl_context": certificates(), "max_connections": None, "max_keepalive_connections": 16, "keepalive_expiry": 5.0}


@lru_cache
def certificates() -> SSLContext:
    """What servers are checked against, read once a process: that takes longer than a request on the same machine."""
    return httpx.create_ssl_context()


class _Dialler(httpcore.NetworkBackend):
    """Makes connections: to the addresses that were checked, or by name."""

    def __init__(self, checked: bool) -> None:
        self._checked = checked
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """The first connection that is made, of those to all addresses."""
        failure: Exception = httpcore.ConnectError("no address of it was checked")
        for address in _request.get().addresses if self._checked else (host,):
            try:
                left = _left(timeout, httpcore.ConnectTimeout)
                return _Stream(self._sockets.connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            except UnicodeError:  # of a name with a part that is empty or too long
                raise httpcore.ConnectError("its name can be no host's") from None
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection on which each step ends by the request's deadline."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As httpcore's."""
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As httpcore's."""
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """As httpcore's: the certificate must be that of the name, whichever address was connected to."""
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        """As httpcore's."""
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        """As httpcore's."""
        self._stream.close()


def _left(timeout: float | None, failure: type[Exception]) -> float | None:
    """The seconds that a step may take. Raises `failure` where none are left."""
    left = _request.get().deadline - time.monotonic()
    if left <= 0:
        raise failure("the deadline is over")
    if left == float("inf"):
        return timeout
    return left if timeout is None else min(timeout, left)
