"""Image references without what must not be kept: passwords, signatures, and images that are their own address."""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

LONGEST = 2000  # characters of a reference that are kept; a data: URI is as long as its image
CUT = "***"
SECRET = re.compile(
    r"sig|token|secret|passw|pwd|credential|policy|access_?key|api_?key|key-pair|auth|jwt|session|expires|x-(amz|goog)-"
    r"|hmac|hdn[a-z]|md5|verify|_upt|^hm$",
    re.I,
)
FIELD = re.compile(r"([^&;=]+)=([^&;]*)")  # of a query
PARAMETER = re.compile(r"(?<=;)([^/;=]+)=([^/;]*)")  # of a part of a path
DEEPEST = 3  # addresses within an address


def redact(reference: str) -> str:
    """`reference` as it may be kept: equal to it, or with CUT in place of secrets and of what is too long to keep."""
    reference = reference.encode("utf-8", "backslashreplace").decode()
    if reference[:5].lower() == "data:":
        return reference if len(reference) <= LONGEST else f"{reference.split(',', 1)[0][:100]}{CUT}"
    kept = _without_secrets(reference)
    return kept if len(kept) <= LONGEST else f"{kept.split('?', 1)[0][:LONGEST]}{CUT}"


def _without_secrets(address: str, depth: int = 0) -> str:
    if not any(sign in address for sign in "@?#;"):
        return address
    if depth == DEEPEST:
        return CUT

    def field(match: re.Match[str]) -> str:
        name, value = unquote(match[1]), unquote(match[2])
        hidden = value and (SECRET.search(name) or _without_secrets(value, depth + 1) != value)
        return f"{match[1]}={CUT}" if hidden else match[0]

    try:
        parts = urlsplit(address)
        _ = parts.port  # refuses what is rather a password that holds a sign which ends the host
    except ValueError:  # no address that anybody can follow
        return address.rpartition("@")[2].split("?", 1)[0] + CUT
    userinfo, at, host = parts.netloc.rpartition("@")
    kept = parts._replace(
        netloc=f"{CUT if userinfo else ''}{at}{host}",
        path=PARAMETER.sub(field, parts.path),
        query=FIELD.sub(field, parts.query),
        fragment=FIELD.sub(field, parts.fragment),
    )
    return address if kept == parts else urlunsplit(kept)
