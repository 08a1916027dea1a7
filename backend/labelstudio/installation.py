"""What a Label Studio is like as a whole, asked without a token: its release, its clock, who may sign up; and whether its guard
against requests to private addresses (SSRF) lets it call us. Nothing that is asked here changes anything."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from backend.labelstudio.answers import problem, unlike_label_studio
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.errors import unreachable
from backend.labelstudio.wiring import is_of_the_guard
from backend.network.proxies import Proxies, ProxyError
from backend.network.transport import make_client

TESTED = ("1.21.0", "1.22.0", "1.23.2")  # releases that `make compatibility` runs the tests on; newest last
NEITHER = "neither"  # what no field of yes or no takes
SIGN_UP = "/user/signup/"
COOKIE = re.compile(r"csrftoken=(\w+)")


@dataclass(frozen=True)
class Installation:
    """release: such as "1.23.2"; moment: the time there when it answered, None where it does not say."""

    release: str
    moment: datetime | None


def ask_installation(url: str, seconds: float) -> Installation:
    """Ask the Label Studio at `url`, LABEL_STUDIO_URL. Raises LabelStudioError."""
    with _client(seconds) as http:
        try:
            answer = http.get(f"{url}/api/version")
        except httpx.HTTPError as error:
            raise unreachable(url, error) from None
    if not answer.is_success:
        raise problem(answer, url)
    try:
        release = answer.json()["release"]
    except (ValueError, TypeError, LookupError, RecursionError):
        release = None
    if not isinstance(release, str) or not release:
        raise unlike_label_studio(answer, url)
    return Installation(release, _moment(answer.headers.get("Date", "")))


def sign_up_is_open(url: str, seconds: float) -> bool | None:
    """Whether anybody who reaches Label Studio can make an account there; None where it does not say.

    A form without name and password is sent, of which no account can come: it is refused as a whole, or for what it lacks.
    Raises LabelStudioError.
    """
    with _client(seconds) as http:
        try:
            page = http.get(f"{url}{SIGN_UP}")
            token = COOKIE.search(page.headers.get("Set-Cookie", ""))
            if not page.is_success or not token:
                return None
            headers = {"Cookie": f"csrftoken={token[1]}", "X-CSRFToken": token[1], "Referer": f"{url}{SIGN_UP}"}
            answer = http.post(f"{url}{SIGN_UP}", data={"email": "", "password": ""}, headers=headers)
        except httpx.HTTPError as error:
            raise unreachable(url, error) from None
    if answer.status_code == 403 and "CSRF" not in answer.text:
        return False
    return True if answer.status_code == 200 else None


def refuses_private_address(label_studio: LabelStudio, project: int, url: str) -> str:
    """Why Label Studio's guard refuses `url`, BACKEND_URL, as an ML backend or as a webhook; "" where it does not.

    It is asked to add each with a field that no value fits, so that it adds neither; the guard speaks before that. Raises
    LabelStudioError.
    """
    wanted = {
        "/api/ml": {"project": project, "url": url, "title": "doctor", "is_interactive": NEITHER},
        "/api/webhooks/": {"project": project, "url": f"{url}/webhook", "is_active": NEITHER},
    }
    for path, body in wanted.items():
        try:
            label_studio.request("POST", path, json=body)
        except LabelStudioError as error:
            if is_of_the_guard(error) or "resolve hostname" in str(error):
                return str(error)
            if error.status != 400:
                raise
    return ""


def _client(seconds: float) -> httpx.Client:
    try:
        return make_client(Proxies.of_environment(), seconds)
    except ProxyError as error:
        raise LabelStudioError(str(error)) from None


def _moment(date: str) -> datetime | None:
    """The time that a header Date names."""
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)
