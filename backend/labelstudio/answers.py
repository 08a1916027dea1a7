"""What an answer means that is not the one asked for: who gave it, and the next step."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from backend.labelstudio.errors import LabelStudioError

KEY_ADVICE = (
    "make a personal access token in Label Studio under Account & Settings > Personal Access Token "
    "and set it as LABEL_STUDIO_API_KEY (legacy tokens are off by default). Where Revoke is the only button there, a token "
    "exists already, which is shown just once: take it from where it is kept, or revoke it and make another."
)
GATEWAY = (502, 503, 504)  # a proxy's words for a server behind it that does not answer
BUSY = 429
TOKEN_PATH = "/api/token/refresh/"  # noqa: S105  a path
PAGE_PATH = re.compile(r"/(projects|tasks|user|organization)(/|$)")  # what the address bar shows behind its address
LOGIN_BY_PROXY = ("basic", "digest", "negotiate", "ntlm")


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that an answer asks to wait, by its Retry-After; None where it says none."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter of a year that no calendar has
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def problem(response: httpx.Response, url: str) -> LabelStudioError:
    """Why `response`, which has been read, is no success. url: LABEL_STUDIO_URL."""
    status = response.status_code
    passing = status >= 500 or status == BUSY
    undone = status in (BUSY, 503)  # nobody took it up
    return LabelStudioError(_explain(response, url), status, passing, undone, retry_after(response))


def unlike_label_studio(response: httpx.Response, url: str) -> LabelStudioError:
    """A success that Label Studio would not have given: a web page, or other JSON than it sends."""
    what = "a web page" if _is_page(response) else "something that Label Studio does not send"
    return LabelStudioError(f"{_asked(response)}: {url} answers with {what}. {_right_address(url)}", response.status_code)


def _explain(response: httpx.Response, url: str) -> str:
    status, asked = response.status_code, _asked(response)
    if 300 <= status < 400:
        return _redirect(response, url)
    if status == 401:
        scheme = response.headers.get("WWW-Authenticate", "").lower()
        if _is_page(response) or scheme.startswith(LOGIN_BY_PROXY):
            return f"{asked}: a proxy in front of {url} asks for a login of its own (401): let the plugin pass it by."
        return f"LABEL_STUDIO_API_KEY was refused (401 on {asked}): {KEY_ADVICE}"
    if status == 407:
        return f"The proxy to {url} asks for a password (407): put one into HTTP_PROXY, or {url} into NO_PROXY."
    if status in GATEWAY:
        return f"{asked}: {url} answered {status}: Label Studio is starting or down behind the proxy that answers there."
    if status == BUSY:
        return f"{asked}: {url} asks to come again later (429)."
    if _is_page(response) and status < 500:
        return f"{asked}: {url} answers with a web page ({status}), not as Label Studio's API. {_right_address(url)}"
    if status in (404, 405, 410) and (not is_of_label_studio(response) or asked.endswith(TOKEN_PATH)):
        return f"{asked}: there is no such thing at {url} ({status}), so that it is not Label Studio's. {_right_address(url)}"
    if status == 404:
        return f"{asked}: not found (404). Check the id, and that the token's user belongs to the same organization."
    if status == 403:
        return (
            f"{asked}: not allowed (403): {_detail(response)}. Check that the token's user may see the project and belongs "
            "to its organization."
        )
    return f"{asked}: Label Studio answered {status}: {_detail(response)}"


def _redirect(response: httpx.Response, url: str) -> str:
    location = response.headers.get("Location", "")
    try:
        target = response.request.url.join(location).copy_with(query=None, fragment=None, userinfo=b"")
    except (httpx.InvalidURL, ValueError):
        location = ""
    asked = f"{_asked(response)}: {url} answers with a redirect ({response.status_code})"
    if not location:
        return f"{asked} that does not say where to. {_right_address(url)}"
    path = response.request.url.path
    prefix = httpx.URL(url).path.rstrip("/")
    rest = path.removeprefix(prefix)
    for same in (rest, rest.rstrip("/"), f"{rest}/"):
        if same and target.path.endswith(same):
            return f"{asked}: set LABEL_STUDIO_URL to {str(target).removesuffix(same).rstrip('/')}"
    return f"{asked} to {target}: something there asks for a login, or it is not Label Studio. {_right_address(url)}"


def _right_address(url: str) -> str:
    """What to do about an address at which there is no Label Studio."""
    parts = httpx.URL(url)
    if parts.path.strip("/"):
        page = PAGE_PATH.search(parts.path)
        root = str(parts.copy_with(path=parts.path[: page.start()] if page else "/")).rstrip("/")
        return f"Set LABEL_STUDIO_URL to the address of Label Studio itself, without a page of it: perhaps {root}"
    return "Check LABEL_STUDIO_URL: it must be the address at which Label Studio itself answers."


def is_of_label_studio(response: httpx.Response) -> bool:
    """Whether an answer that is no success is a JSON object, as Label Studio's are, and no stranger's."""
    try:
        return isinstance(response.json(), dict)
    except (ValueError, RecursionError):
        return False


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _is_page(response: httpx.Response) -> bool:
    return response.content[:1000].lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head"))


def _detail(response: httpx.Response) -> str:
    try:
        body = response.json()
        return json.dumps(body.get("validation_errors") or body.get("detail") or body)[:500]
    except (ValueError, AttributeError, RecursionError):
        return response.text[:200]
