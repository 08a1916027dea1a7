"""Image references without what must not be kept: passwords, signatures, and images that are their own address."""

import re
from urllib.parse import urlsplit, urlunsplit

LONGEST = 2000  # characters of a reference that are kept; a data: URI is as long as its image
CUT = "***"
SECRET = re.compile(
    r"sig|token|secret|passw|credential|policy|access_?key|api_?key|key-pair|auth|jwt|expires|x-(amz|goog)-", re.I
)


def redact(reference: str) -> str:
    """`reference` as it may be kept: equal to it, or with CUT in place of secrets and of what is too long to keep."""
    reference = reference.encode("utf-8", "backslashreplace").decode()
    if len(reference) > LONGEST:
        reference = reference.split(",", 1)[0][:100] if reference.startswith("data:") else reference.split("?", 1)[0][:LONGEST]
        return f"{reference}{CUT}"
    if "@" not in reference and "?" not in reference:
        return reference
    try:
        parts = urlsplit(reference)
        password, at, host = parts.netloc.rpartition("@")
        query = "&".join(_redact_field(field) for field in parts.query.split("&"))
        if not password and query == parts.query:
            return reference
        return urlunsplit(parts._replace(netloc=f"{CUT if password else ''}{at}{host}", query=query))
    except ValueError:  # no address that anybody can follow
        return reference.split("?", 1)[0].rpartition("@")[2] + CUT


def _redact_field(field: str) -> str:
    name, equals, _ = field.partition("=")
    return f"{name}={CUT}" if equals and SECRET.search(name) else field
