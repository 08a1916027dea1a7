"""What a browser may do with the pages: the content security policy."""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy(relaxed: dict[str, str] | None = None) -> str:
    """The policy as a header's text, with other values where a page needs them `relaxed`."""
    return "; ".join(f"{name} {value}" for name, value in (POLICY | (relaxed or {})).items())
