"""The server that Label Studio calls: its routes, and how each kind of failure is answered. Beside them it has the pages for
people (backend/pages), which have logins of their own.

Torch is imported by the first /predict, not before: /health, /setup and /webhook answer in milliseconds. Whatever waits, for
a disk, for Redis or for a network, does so in a thread of its own, so that the event loop never does.
"""

import asyncio
import gc
import json
import logging
from collections.abc import Callable, Coroutine
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from backend.connection.answering import PLUGIN
from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.pages.app import create_pages, owns
from backend.project.sharing import projects_of
from backend.queue.redis_server import RedisUnavailable, connect_redis
from backend.queue.sightings import expected, sight, trouble_with
from backend.queue.work import Work
from backend.records.kept import versions_of
from backend.records.state import Projects
from backend.server import reason
from backend.server.auth import BasicAuth
from backend.server.beside import Beside
from backend.server.bodies import NO_RESULT, BadRequest, project_id, read_json, shown, text
from backend.server.events import handle_all
from backend.server.together import Together
from backend.settings import Settings, get_settings
from model.storage.bucket import Changed, StoreUnavailable
from model.storage.documents_in_bucket import Haste
from model.version_store import NO_VERSION

if TYPE_CHECKING:
    from backend.server.plugin import ActiveLearningBackend

log = logging.getLogger(__name__)
REDIS_SECONDS = 1.0  # a Redis that hangs must not take a webhook with it: Label Studio gives one no more
PREDICTIONS = 4  # /predict requests at work at once; more wait, and leave their threads to webhooks
ROUTES = "GET /health, POST /setup, POST /predict, POST /webhook and GET /versions"
Refusal = Callable[[Request, Any], Coroutine[Any, Any, Response]]
Body = Annotated[dict[str, Any], Depends(read_json)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. Raises RedisUnavailable where there is no Redis, DataDirError on a foreign DATA_DIR."""
    settings = settings or get_settings()
    projects = projects_of(settings)
    projects.prepare()
    identity, projects = projects.identity(), projects_of(settings, Haste.SERVING)
    work = Work(connect_redis(settings, REDIS_SECONDS), settings.retrain_after)
    app = FastAPI(
        title="Active learning for Label Studio",
        openapi_url=None,
        redirect_slashes=False,  # to where the Host header says
        middleware=[
            Middleware(Beside, owns=owns, app_beside=create_pages(settings, projects, work)),
            Middleware(BasicAuth, credentials=settings.credentials),
        ],
        exception_handlers=_refusals(settings),
    )
    predicting = asyncio.Semaphore(PREDICTIONS)

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> dict[str, str]:
        return {"status": "UP", "plugin": PLUGIN, "identity": identity}

    @app.post("/setup")
    def setup(body: Body) -> dict[str, Any]:
        return {"model_version": _live(settings, projects, work, project_id(body.get("project")), text(body, "schema"))}

    events = Together(partial(handle_all, settings=settings, work=work))

    async def webhook(request: Request) -> Response:
        answer = await events.ask(await read_json(request))
        return Response(json.dumps(answer), 201, media_type="application/json")

    app.add_route("/webhook", webhook, ["POST"])  # a plain route: what FastAPI does for the others costs as much as all of it

    @app.post("/predict")
    async def predict(body: Body) -> dict[str, Any]:
        tasks, label_config = _tasks(body), text(body, "label_config")
        async with predicting:
            results = await run_in_threadpool(_predict, tasks, label_config, settings)
        return {"results": results, "model_version": results[0]["model_version"] if results else NO_VERSION}

    @app.get("/versions")
    def versions(project: str = "") -> dict[str, Any]:
        return {"versions": _versions(projects, project)}

    @app.post("/versions")
    def versions_of(body: Body) -> dict[str, Any]:
        return {"versions": _versions(projects, body.get("project"))}

    return app


def _live(settings: Settings, projects: Projects, work: Work, project: int, schema: str) -> str:
    """The version that `project` follows. Raises LabelConfigError, and BadRequest where it cannot be connected."""
    state = projects.read(project)
    try:
        parse_label_config(schema, state.control)
    except LabelConfigError as error:
        log.warning("/setup of project %s: %s", project, error)
        raise
    if not state.connected:
        _let_in(settings, work, project)
    return state.live or NO_VERSION


def _let_in(settings: Settings, work: Work, project: int) -> None:
    """A project that `connect` is adding this backend to is let in; one that somebody has added it to by hand is connected.
    Raises BadRequest with the reason where that has failed."""
    from backend.server.by_hand import take_up  # with what `connect` needs, which the server's start does not wait for

    log.info("Label Studio asks about project %s, which is not connected", project)
    try:
        if expected(work.redis, project):
            return
        sight(work.redis, project)
        take_up(settings, work, project)
        trouble = trouble_with(work.redis, project)
    except RedisError as error:
        trouble = f"Redis does not answer ({error})"
    if trouble:
        raise BadRequest(f"Project {project} could not be connected: {trouble}")


def _versions(projects: Projects, named: Any) -> list[str]:
    known = [project_id(named)] if named not in (None, "") else projects.ids()
    return [name for project in known for name in versions_of(projects, project).names()]


def _tasks(body: dict[str, Any]) -> list[Any]:
    """The tasks of a /predict, each with its project; one that is no task stays, to get an empty result. Raises BadRequest
    where nothing among them is a task."""
    tasks = body.get("tasks")
    if tasks is None:
        return []
    if not isinstance(tasks, list):
        raise BadRequest(f"tasks is {shown(tasks)}, not a list")
    if tasks and not any(isinstance(task, dict) for task in tasks):
        raise BadRequest(f"tasks holds no task, but {shown(tasks[0])}")
    lacking = [task for task in tasks if isinstance(task, dict) and not task.get("project")]
    if not lacking:
        return tasks
    try:
        project = project_id(body.get("project"))
    except BadRequest:
        if len(lacking) == sum(isinstance(task, dict) for task in tasks):
            raise
        return tasks
    return [task | {"project": project} if isinstance(task, dict) and not task.get("project") else task for task in tasks]


def _predict(tasks: list[Any], label_config: str, settings: Settings) -> list[dict[str, Any]]:
    """One result for each of `tasks`, whatever happens. Raises LabelConfigError, StoreUnavailable."""
    if not tasks:
        return []
    try:
        return _plugin()(label_config=label_config, settings=settings).predict(tasks)
    except (LabelConfigError, StoreUnavailable):
        raise
    except Exception:
        log.exception("/predict failed; its %d tasks get the last place", len(tasks))
        return [NO_RESULT] * len(tasks)


@cache
def _plugin() -> "type[ActiveLearningBackend]":
    """Imported once it is needed, since it imports torch, whose objects no garbage collection need look through again."""
    from backend.server.plugin import ActiveLearningBackend

    gc.freeze()
    return ActiveLearningBackend


def _refusals(settings: Settings) -> dict[int | type[Exception], Refusal]:
    """How each kind of failure is answered: with a sentence, as JSON and as the reason phrase."""

    async def wrong(_: Request, error: BadRequest) -> Response:
        return _refusal(error.status, str(error))

    async def config(_: Request, error: LabelConfigError) -> Response:
        return _refusal(400, str(error))

    async def unknown(request: Request, error: HTTPException) -> Response:
        asked = f"{request.method} {request.url.path[:100]}"
        return _refusal(error.status_code, f"{asked}: {error.detail}. There are {ROUTES}", error.headers)

    async def redis(_: Request, error: RedisError | RedisUnavailable) -> Response:
        log.error("Redis does not answer: %s", error)
        where = "check REDIS_URL" if settings.redis_url else "start it with `al-backend up`"
        return _refusal(503, f"Redis does not answer: {where}. Labels are safe in Label Studio and taken in later")

    async def store(_: Request, error: StoreUnavailable | Changed) -> Response:
        log.error("%s", error)
        return _refusal(503, str(error))

    async def disk(_: Request, error: OSError) -> Response:
        log.error("DATA_DIR cannot be used: %s", error)
        return _refusal(503, f"DATA_DIR={settings.data_dir} cannot be used ({error.strerror}): see to it on the server")

    async def fault(_: Request, __: Exception) -> Response:
        return _refusal(500, "A fault of the active-learning backend: its log says more")

    return {
        BadRequest: wrong,
        LabelConfigError: config,
        HTTPException: unknown,
        RedisError: redis,
        RedisUnavailable: redis,
        StoreUnavailable: store,
        Changed: store,
        OSError: disk,
        Exception: fault,
    }


def _refusal(status: int, message: str, headers: Any = None) -> Response:
    reason.set_reason(message)
    return JSONResponse({"detail": message.encode("utf-8", "backslashreplace").decode()}, status, headers)
