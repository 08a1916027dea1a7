"""Who answers at an address: this plugin with this DATA_DIR, another one, something else, or nobody."""

from dataclasses import dataclass

import httpx

PLUGIN = "label-studio-active-learning"  # what the server calls itself at /health, beside the identity of its DATA_DIR
SECONDS = 5.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  addresses to listen on, and what to ask then


@dataclass(frozen=True)
class Answering:
    """identity: of the DATA_DIR that an active-learning plugin there works with, "" where there is none; trouble: why there is
    none; reached: whether anything answered."""

    identity: str = ""
    trouble: str = ""
    reached: bool = True


def who_answers(url: str, seconds: float = SECONDS) -> Answering:
    """Ask `url`/health. No proxy is used, and no redirect followed."""
    try:
        answer = httpx.get(f"{url}/health", timeout=seconds, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Answering("", _cause(error, seconds), reached=False)
    try:
        told = answer.json()
        if told["plugin"] == PLUGIN and isinstance(told["identity"], str):
            return Answering(told["identity"])
    except (ValueError, TypeError, LookupError):
        pass
    what = answer.headers.get("server") or answer.headers.get("content-type") or "no name"
    return Answering("", f"another service answers there ({answer.status_code}, {what[:60]})")


def local_url(host: str, port: int) -> str:
    """The address, for programs on this machine, of a server that listens on `host` and `port`."""
    host = EVERYWHERE.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def why_not_ours(url: str, identity: str, seconds: float = SECONDS) -> str:
    """Why whoever answers at `url` is not this plugin with the DATA_DIR of `identity`, "" for any; "" where it is."""
    found = who_answers(url, seconds)
    if identity and found.identity and found.identity != identity:
        return "an active-learning plugin with another DATA_DIR answers there"
    return found.trouble


def _cause(error: Exception, seconds: float) -> str:
    """What is wrong with a connection, in words."""
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return f"nobody answers there within {seconds:g} s"
    if "Connection refused" in text or "Errno 111" in text:
        return "nobody listens there (connection refused)"
    if "Name or service not known" in text or "Errno -" in text:
        return "its host name is not known here"
    return f"nobody answers there ({text[:200]})"
