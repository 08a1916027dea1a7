"""The pages as an ASGI application: who may see what, what a browser may do with it, and how failures are told."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.index.index_file import IndexUnavailable
from backend.labelstudio.client import LabelStudioError
from backend.pages import accept, ahead, doubts, find, groups, images, jobs, login, overview, people, progress, queue, versions
from backend.pages import map as map_pages
from backend.pages.accounts import Accounts
from backend.pages.policy import policy
from backend.pages.thumbnails import Thumbnails
from backend.pages.visit import House, Page, Visit
from backend.queue.redis_server import RedisUnavailable
from backend.queue.work import Work
from backend.records.state import Projects
from backend.settings import Settings
from model.storage.bucket import Changed, StoreUnavailable

log = logging.getLogger(__name__)
ROOMS = (  # each has its PAGES
    login,
    overview,
    progress,
    queue,
    ahead,
    groups,
    map_pages,
    find,
    doubts,
    people,
    accept,
    versions,
    jobs,
    images,
)
HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer" the browser would not tell where a form was sent from
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FORM_BYTES = 100_000  # of what a browser may send: it is read before anybody has said who they are
PAGES_AT_ONCE = 8  # more wait, and hold no thread that a webhook needs
STATIC = Path(__file__).parent / "static"


def owns(path: str) -> bool:
    """Whether an address is one of the pages, which look at logins of their own."""
    return path == "/" or path.split("/")[1] in ("login", "logout", "static", "projects")


def create_pages(settings: Settings, projects: Projects, work: Work) -> ASGIApp:
    """The pages, to be asked for what they `own`."""
    house = House(settings, projects, work, Accounts(settings, work.redis), Thumbnails(settings))
    pages: Iterable[Page] = (page for room in ROOMS for page in room.PAGES)
    at_work = CapacityLimiter(PAGES_AT_ONCE)
    routes: list[BaseRoute] = [_route(house, page, at_work) for page in pages]
    routes.append(Mount("/static", StaticFiles(directory=STATIC)))
    return _Guarded(Starlette(routes=routes, exception_handlers={404: partial(_lost, house)}))


def _route(house: House, page: Page, at_work: CapacityLimiter) -> BaseRoute:
    limiter = CapacityLimiter(page.at_once) if page.at_once else at_work

    async def answer(request: Request) -> Response:
        if page.method == "POST" and not _same_site(request):
            return Response("This form was sent from another site.", 403)
        visit = Visit(house, request)
        if page.method == "POST":
            most = page.file_bytes + FORM_BYTES
            if int(request.headers.get("content-length") or most + 1) > most:
                return Response(f"This form is too large: {most:,} bytes at most.", 413)
            if not page.file_bytes or await to_thread.run_sync(_knows, house, request, limiter=limiter):
                visit.form, visit.file = await _sent(request, page)
        return await to_thread.run_sync(_answer, page, visit, limiter=limiter)

    return Route(f"/projects/{{project:int}}{page.path}" if page.of_project else page.path, answer, methods=[page.method])


def _knows(house: House, request: Request) -> bool:
    """Whether this is somebody's login: nobody else's files are read. Where Redis cannot tell, `_answer` says so."""
    try:
        return house.accounts.of(request.cookies.get(login.COOKIE)) is not None
    except RedisError:
        return False


async def _sent(request: Request, page: Page) -> tuple[dict[str, str], bytes]:
    """The texts of a form, and the file that it sends where the page takes one: in memory alone, or in a file without a name
    that is gone with this request."""
    async with request.form(max_files=1 if page.file_bytes else 0) as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        return texts, await files[0].read() if files else b""


def _answer(page: Page, visit: Visit) -> Response:
    """What the page's handler answers, or why it may not."""
    house, request = visit.house, visit.request
    try:
        visit.account = house.accounts.of(request.cookies.get(login.COOKIE))
        if page.needs_login and not visit.account:
            return visit.go("/login")
        if page.method == "POST" and visit.account and visit.text("csrf") != visit.account.csrf:
            return _trouble(visit, 403, "This form is from an earlier login: load the page again, and send it again.")
        if page.of_project:
            visit.project = request.path_params["project"]
            if visit.project not in visit.titles():
                return _unknown(visit)
        return page.handler(visit)
    except LabelStudioError as error:
        if error.status == 401 and visit.account:
            house.accounts.log_out(request.cookies.get(login.COOKIE))
            return visit.go("/login?expired=1")
        return _trouble(visit, 502, f"Label Studio: {error}")
    except (IndexUnavailable, StoreUnavailable, Changed) as error:
        return _trouble(visit, 503, str(error))
    except (RedisError, RedisUnavailable) as error:
        log.error("Redis does not answer: %s", error)
        return _trouble(Visit(house, request), 503, "Redis does not answer. Labels are safe in Label Studio meanwhile.")
    except Exception:
        log.exception("%s failed", request.url.path)
        return _trouble(Visit(house, request), 500, "A fault of this page: the server's log says more.")


def _unknown(visit: Visit) -> Response:
    return _trouble(visit, 404, f"Project {visit.project} is not connected here, or your token may not see it.")


def _trouble(visit: Visit, status: int, text: str) -> Response:
    """A page that says what went wrong, for which nobody is asked anything."""
    return replace(visit, project=None).page("trouble.html", status, text=text)


def _lost(house: House, request: Request, _: Exception) -> Response:
    return _trouble(Visit(house, request), 404, "There is no such page.")


def _same_site(request: Request) -> bool:
    """Whether a form was sent by a page of ours, as browsers tell."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


class _Guarded:
    """Says to browsers what they may do with every answer; HTML is not kept by them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)
