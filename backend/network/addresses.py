"""Addresses in settings: checked when they are read, and shown without passwords. Values are never repeated in an error."""

import re
from urllib.parse import urlsplit

USERINFO = re.compile(r"(\w+://)?.*@", re.DOTALL)
NAMED_SECRET = re.compile(r"((?:pass|password|token|secret|key|sig|signature)=)[^&\s]*", re.IGNORECASE)
HIDDEN = "**********"
ESCAPES = "%23 for #, %40 for @, %2F for /, %3F for ?, %25 for %, %3A for :"


def plain_address(value: str) -> str:
    """The http(s) address `value` without a slash at its end. Raises ValueError saying what is wrong with it."""
    scheme, found, rest = value.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    if "@" in rest:
        raise ValueError("must hold no user name and no password: there are settings of their own for these")
    if re.search(r"[\s?#\\\"'<>]", value):
        raise ValueError("must be a plain address such as http://host:8080, without ?, #, quotes or spaces")
    _check_host(value)
    return f"{scheme.lower()}://{rest}".rstrip("/")


def redis_address(value: str) -> str:
    """The address of a Redis. Raises ValueError where it cannot be one, above all for a password that is not escaped."""
    scheme, found, rest = value.partition("://")
    if not found or scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must start with redis://, rediss:// or unix://")
    if scheme == "unix":
        return value
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "#" in rest or server.count("@") > 1 or ("@" in rest and "@" not in server and "?" not in rest):
        raise ValueError(f"holds a password with a sign that must be escaped in an address: {ESCAPES}")
    try:
        _check_host(value)
    except ValueError as error:
        raise ValueError(f"{error}. A password's own signs must be escaped: {ESCAPES}") from None
    if not re.fullmatch(r"/?[0-9]*", urlsplit(value).path):
        raise ValueError("names a database that is no number: write /0, /1, ... behind the port, or nothing")
    return value


def host_of(entry: str) -> str:
    """The host, in small letters, of a `host`, `host:port` or whole address. Raises ValueError where there is none."""
    address = entry if "://" in entry else f"//{entry}"
    try:
        ipv6 = entry.count(":") > 1 and "://" not in entry and "[" not in entry
        parts = urlsplit(f"//[{entry}]" if ipv6 else address)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        host = ""
    if not host or "*" in host or "@" in entry or ("://" not in entry and "/" in entry):
        raise ValueError("names hosts such as images.example.com or 10.0.0.7, with commas between; no patterns, no networks")
    return host


def without_password(text: str) -> str:
    """The address in `text` with whatever stands before its last @, and the values of `password=` and the like, hidden."""
    return NAMED_SECRET.sub(rf"\1{HIDDEN}", USERINFO.sub(rf"\1{HIDDEN}@", text))


def _check_host(address: str) -> None:
    try:
        parts = urlsplit(address)
        port = parts.port
        (parts.hostname or "").encode("idna")  # refuses parts of a name that are empty or too long
    except ValueError:  # whose message repeats a part of the address, perhaps of a password
        raise ValueError("holds a host or a port that cannot be") from None
    if not parts.hostname or port == 0:
        raise ValueError("must name a host, and a port from 1 to 65535 or none")
