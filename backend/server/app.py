"""The server that Label Studio calls: routes and authentication. What they mean is decided elsewhere.

Torch is imported by the first /predict, not before: /health, /setup and /webhook answer in milliseconds.
"""

import base64
import binascii
import json
import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from redis.exceptions import RedisError
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.project.answering import PLUGIN
from backend.project.state import Projects
from backend.queue.redis_server import connect_redis
from backend.queue.sightings import expected, sight
from backend.queue.work import Work
from backend.server import reason
from backend.server.events import BadRequest, handle, project_id
from backend.settings import Settings, get_settings
from model.version_store import NO_VERSION, VersionStore

log = logging.getLogger(__name__)
REDIS_SECONDS = 1.0  # a Redis that hangs must not take /health with it; Label Studio gives a webhook no more
NO_RESULT: dict[str, Any] = {"result": [], "score": 1.0, "model_version": NO_VERSION}


class BasicAuth:
    """Asks for the credentials on every route but /health."""

    def __init__(self, app: ASGIApp, credentials: tuple[str, str] | None) -> None:
        self._app = app
        self._expected = ":".join(credentials).encode() if credentials else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http" and scope["path"] != "/health" and not self._allows(dict(scope["headers"])):
            message = "BASIC_AUTH_USER and BASIC_AUTH_PASS are not what this backend expects"
            reason.set_reason(f"Unauthorized: {message}")
            answer = JSONResponse({"detail": message}, 401, {"WWW-Authenticate": 'Basic realm="active learning"'})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, headers: dict[bytes, bytes]) -> bool:
        if self._expected is None:
            return True
        scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
        try:
            given = base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == b"basic" and secrets.compare_digest(given, self._expected)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. Raises RedisUnavailable where there is no Redis, DataDirError on a foreign DATA_DIR."""
    settings = settings or get_settings()
    reason.install()
    projects = Projects(settings.data_dir)
    projects.prepare()
    identity = projects.identity()
    work = Work(connect_redis(settings, REDIS_SECONDS), settings.retrain_after)
    app = FastAPI(
        title="Active learning for Label Studio",
        openapi_url=None,
        middleware=[Middleware(BasicAuth, credentials=settings.credentials)],
    )

    @app.exception_handler(BadRequest)
    @app.exception_handler(LabelConfigError)
    async def refuse(_: Request, error: Exception) -> JSONResponse:
        reason.set_reason(str(error))
        return JSONResponse({"detail": str(error)}, 400)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "UP", "plugin": PLUGIN, "identity": identity}

    @app.post("/setup")
    async def setup(request: Request) -> dict[str, Any]:
        body = await _body(request)
        project = project_id(body.get("project"))
        state = projects.read(project)
        try:
            parse_label_config(body.get("schema"), state.control)
        except LabelConfigError as error:
            log.warning("/setup of project %s: %s", project, error)
            raise
        if not state.connected and not await run_in_threadpool(_awaited, work, project):
            raise BadRequest(
                f"Project {project} is not connected: run `python -m backend connect --project {project}`, "
                "which adds this backend by itself, with webhook and sampling"
            )
        return {"model_version": state.live or NO_VERSION}

    @app.post("/webhook")
    async def webhook(request: Request) -> Response:
        answer = handle(await _body(request), settings, work)
        return Response(json.dumps(answer), 201, media_type="application/json")

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, Any]:
        body = await _body(request)
        tasks = body.get("tasks") or []
        tasks = [task if task.get("project") else task | {"project": project_id(body.get("project"))} for task in tasks]
        try:
            results = await run_in_threadpool(_predict, tasks, body.get("label_config"))
        except Exception as error:
            if isinstance(error, LabelConfigError):
                raise
            log.exception("/predict failed; its %d tasks get the last place", len(tasks))
            results = [NO_RESULT] * len(tasks)
        return {"results": results, "model_version": results[0]["model_version"] if results else NO_VERSION}

    @app.api_route("/versions", methods=["GET", "POST"])
    async def versions(request: Request) -> dict[str, Any]:
        body = await _body(request) if await request.body() else {}
        named = body.get("project") or request.query_params.get("project")
        known = [project_id(named)] if named else projects.ids()
        return {"versions": [name for p in known for name in VersionStore(projects.folder(p) / "versions").names()]}

    return app


def _awaited(work: Work, project: int) -> bool:
    """Whether `connect` is adding this backend to `project`; if not, `status` is to list it."""
    try:
        if expected(work.redis, project):
            return True
        sight(work.redis, project)
    except RedisError as error:
        log.warning("Redis does not answer: %s", error)
    log.warning("Label Studio asks about project %s, which is not connected", project)
    return False


def _predict(tasks: list[dict[str, Any]], label_config: str | None) -> list[dict[str, Any]]:
    if not tasks:
        return []
    from backend.server.plugin import ActiveLearningBackend  # imports torch

    return ActiveLearningBackend(label_config=label_config).predict(tasks)


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise BadRequest("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body
