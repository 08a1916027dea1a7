"""Logging in with one's own Label Studio token, and out."""

from starlette.responses import Response

from backend.labelstudio.client import LabelStudioError
from backend.pages.visit import Page, Visit

COOKIE = "al_login"
REFUSED = "Label Studio refuses this token: make a new personal access token there, and take the whole of it."
EXPIRED = "Label Studio does not take your token any more: log in again."


def _form(visit: Visit) -> Response:
    said = EXPIRED if visit.request.query_params.get("expired") else ""
    return visit.go("/") if visit.account else visit.page("login.html", said=said)


def _log_in(visit: Visit) -> Response:
    try:
        cookie = visit.house.accounts.log_in(visit.text("token"))
    except LabelStudioError as error:
        return visit.page("login.html", 401, said=REFUSED) if error.status == 401 else visit.page("login.html", 502, said=error)
    answer = visit.go("/")
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=visit.request.url.scheme == "https")
    return answer


def _log_out(visit: Visit) -> Response:
    visit.house.accounts.log_out(visit.request.cookies.get(COOKIE))
    answer = visit.go("/login")
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


PAGES = (
    Page("/login", _form, of_project=False, needs_login=False),
    Page("/login", _log_in, "POST", of_project=False, needs_login=False),
    Page("/logout", _log_out, "POST", of_project=False),
)
