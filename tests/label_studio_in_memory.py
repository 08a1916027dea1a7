"""A Label Studio of some hundred lines, for tests that need no real one: its API on loopback, its data in memory.

It speaks HTTP, so that the plugin's own client, its workers and its commands talk to it unchanged. It knows what the plugin
uses and what surprises: which values are dropped without a word, which are refused, and in which order tasks are served.
tests/label_studio_contract.py holds it to the real one.
"""

import itertools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import httpx

from backend.labelstudio.client import LabelStudio
from backend.settings import Settings

TOKEN = "in.memory.token"  # three parts, as a personal access token has
PROJECT: dict[str, Any] = {
    "title": "New project",
    "label_config": "<View></View>",
    "sampling": "Sequential sampling",
    "model_version": "",
    "show_collab_predictions": True,
    "enable_empty_annotation": True,
    "min_annotations_to_start_training": 0,
    "maximum_annotations": 1,
}
Row = dict[str, Any]


class Refused(Exception):
    """An answer that is no success: its status, and what Label Studio says."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class Fault:
    """The next request of `method` whose path matches `path` gets `status`; with `done` it takes effect before."""

    method: str
    path: str
    status: int = 500
    done: bool = False
    times: int = 1


@dataclass
class Request:
    """One request: `query` by name, `body` as JSON."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class LabelStudioInMemory:
    """Use it as a context manager: it listens meanwhile. Everything it holds may be read and changed by tests."""

    def __init__(self) -> None:
        self.projects: dict[int, Row] = {}
        self.tasks: dict[int, Row] = {}
        self.annotations: dict[int, Row] = {}
        self.predictions: dict[int, Row] = {}
        self.backends: dict[int, Row] = {}
        self.webhooks: dict[int, Row] = {}
        self.views: dict[int, Row] = {}
        self.files: dict[str, bytes] = {}  # path -> what GET answers, as for uploaded images
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.refuses: Callable[[Request], int] = lambda _: 0  # the status that an import of predictions gets, 0 for its own
        self.blocks_private = False  # as a Label Studio without the two settings that allow private addresses
        self.out_of_order = 0  # the status that every request gets, as 500 while its database is locked; 0 for none
        self.url = ""
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    def __enter__(self) -> "LabelStudioInMemory":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self) -> LabelStudio:
        """The plugin's client, with a token that is accepted."""
        return LabelStudio(Settings(label_studio_url=self.url, label_studio_api_key=TOKEN))

    def add_project(self, label_config: str, images: list[Any], title: str = "Insects") -> int:
        """A project with one task for each image reference, or for each dict of task data."""
        project = self._add(self.projects, PROJECT | {"title": title, "label_config": label_config, "created_at": _now()})["id"]
        for image in images:
            self._add_task(project, image if isinstance(image, dict) else {"image": image})
        return project

    def task_ids(self, project: int) -> list[int]:
        """Ids of the project's tasks."""
        return [task["id"] for task in self.tasks.values() if task["project"] == project]

    def label(self, task: int, choice: str | None, **more: Any) -> int:
        """Submit `choice` for a task, None for an empty answer; returns the annotation's id."""
        value = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
        return self._annotate(task, {"result": [] if choice is None else [value]} | more)["id"]

    def answer(self, request: Request) -> Any:
        """What the API answers. Raises Refused."""
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.method == request.method and re.search(fault.path, request.path):
                    fault.times -= 1
                    if fault.done:
                        self._route(request)
                    raise Refused(fault.status, "a fault")
            return self._route(request)

    def _route(self, request: Request) -> Any:
        for method, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return handle(self, request, *(int(number) for number in match.groups()))
        raise Refused(404, "Not found.")

    def _add(self, rows: dict[int, Row], row: Row) -> Row:
        number = next(self._ids)
        rows[number] = {"id": number} | row
        return rows[number]

    @staticmethod
    def _get(rows: dict[int, Row], number: int) -> Row:
        if number not in rows:
            raise Refused(404, "Not found.")
        return rows[number]

    def _of(self, rows: dict[int, Row], request: Request) -> list[Row]:
        """Rows of the project, or of the task, that the query names."""
        key = "task" if "task" in request.query else "project"
        return [row for row in rows.values() if str(row[key]) == request.query.get(key)]

    # projects

    def _project(self, _: Request, project: int) -> Row:
        tasks = [t for t in self.tasks.values() if t["project"] == project]
        return self._get(self.projects, project) | {"task_number": len(tasks)}

    def _patch_project(self, request: Request, project: int) -> Row:
        row, version = self._get(self.projects, project), request.body.get("model_version")
        named = {b["title"] for b in self.backends.values() if b["project"] == project} | set(self._versions(request, project))
        if version and version != row["model_version"] and version not in named:
            text = "Model version doesn't exist either as live model or as static predictions."
            raise Refused(400, {"model_version": [text]})
        if request.body.get("show_collab_predictions") is False:
            row["model_version"] = ""
        row.update(request.body)
        return row

    def _delete_project(self, _: Request, project: int) -> None:
        self._get(self.projects, project)
        del self.projects[project]
        for rows in (self.tasks, self.annotations, self.predictions, self.backends, self.webhooks, self.views):
            for number in [n for n, row in rows.items() if row["project"] == project]:
                del rows[number]

    def _versions(self, _: Request, project: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for prediction in self.predictions.values():
            if prediction["project"] == project:
                found[prediction["model_version"]] = found.get(prediction["model_version"], 0) + 1
        return found

    # tasks and annotations

    def _add_task(self, project: int, data: Row) -> Row:
        return self._add(self.tasks, {"project": project, "data": data, "updated_at": _now(), "overlap": 1})

    def _import_tasks(self, request: Request, project: int) -> Row:
        made = [self._add_task(project, task.get("data", task))["id"] for task in request.body]
        return {"task_count": len(made), "task_ids": made}

    def _task(self, _: Request, task: int) -> Row:
        row = self._get(self.tasks, task)
        return row | {
            "annotations": [a for a in self.annotations.values() if a["task"] == task],
            "predictions": [p for p in self.predictions.values() if p["task"] == task],
            "is_labeled": self._is_labelled(task),
        }

    def _list_tasks(self, request: Request) -> Row:
        self._get(self.projects, int(request.query["project"]))
        query = json.loads(request.query.get("query", "{}"))
        tasks = [t for t in self.tasks.values() if str(t["project"]) == request.query["project"]]
        for item in query.get("filters", {}).get("items", []):
            if (item["filter"], item["operator"]) == ("filter:tasks:id", "in_list"):
                tasks = [t for t in tasks if t["id"] in item["value"]]
                continue
            assert (item["filter"], item["operator"]) == ("filter:tasks:updated_at", "greater"), item
            since = datetime.fromisoformat(item["value"])
            tasks = [t for t in tasks if datetime.fromisoformat(t["updated_at"]) > since]
        size, page = int(request.query.get("page_size", 100)), int(request.query.get("page", 1))
        part = tasks[(page - 1) * size : page * size]
        if not part and page > 1:
            raise Refused(404, "Invalid page.")
        if request.query.get("include") != "id" and any(map(_cannot_be_encoded, part)):
            raise Refused(500, "'utf-8' codec can't encode character")
        return {"tasks": [self._task(request, task["id"]) for task in part], "total": len(tasks)}

    def _delete_task(self, _: Request, task: int) -> None:
        self._get(self.tasks, task)
        del self.tasks[task]
        for rows in (self.annotations, self.predictions):
            for number in [n for n, row in rows.items() if row["task"] == task]:
                del rows[number]

    def _annotate(self, task: int, body: Row) -> Row:
        row = self._get(self.tasks, task)
        row["updated_at"] = _now()
        made = {"was_cancelled": False, "ground_truth": False, "completed_by": 1, "import_id": None, "lead_time": None}
        made["created_at"] = _now()
        return self._add(self.annotations, made | body | {"task": task, "project": row["project"]})

    def _change_annotation(self, request: Request, number: int) -> Row | None:
        row = self._get(self.annotations, number)
        self.tasks[row["task"]]["updated_at"] = _now()
        if request.method == "DELETE":
            del self.annotations[number]
            return None
        row.update(request.body or {})
        return row

    def _is_labelled(self, task: int) -> bool:
        given = [a for a in self.annotations.values() if a["task"] == task and not a["was_cancelled"]]
        return len(given) >= self.tasks[task]["overlap"]

    def _next(self, request: Request, project: int) -> Row:
        """What the token's user is served: nobody else labels here, so there are no locks."""
        row = self._get(self.projects, project)
        mine = {a["task"] for a in self.annotations.values() if a["completed_by"] == 1}
        open_tasks = [t for t in self.task_ids(project) if t not in mine and not self._is_labelled(t)]
        if row["sampling"] == "Uncertainty sampling":
            live = [
                p for p in self.predictions.values() if p["model_version"] == row["model_version"] and p["task"] in open_tasks
            ]
            live.sort(key=lambda p: (p["score"] is not None, p["score"]))
            # the real one draws at random where it has no prediction to follow: here it is the last, which no order gives
            open_tasks = [p["task"] for p in live] or open_tasks[::-1]
        if not open_tasks:
            raise Refused(404, "No more annotations.")
        return self._task(request, open_tasks[0])

    # predictions

    def _import_predictions(self, request: Request, project: int) -> Row:
        if status := self.refuses(request):
            raise Refused(status, "refused")
        known = set(self.task_ids(project))
        for sent in request.body:
            if sent.get("task") not in known:
                raise Refused(400, [f'{sent} contains invalid "task" field'])
        good = [sent for sent in request.body if self._is_valid(sent, project)]
        for sent in good:
            self._add_prediction(project, sent)
        return {"created": len(good)}

    def _is_valid(self, sent: Row, project: int) -> bool:
        """Whether an import keeps it. What it does not keep is dropped without a word."""
        choices = {e.get("alias") or e.get("value") for e in ElementTree.fromstring(self._config(project)).iter("Choice")}  # noqa: S314
        score = sent.get("score")
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            return False
        return all(choice in choices for region in sent["result"] for choice in region["value"]["choices"])

    def _config(self, project: int) -> str:
        return self.projects[project]["label_config"]

    def _add_prediction(self, project: int, sent: Row) -> Row:
        kept = {key: sent.get(key) for key in ("task", "result", "score")}
        return self._add(self.predictions, kept | {"model_version": sent.get("model_version", "undefined"), "project": project})

    def _create_prediction(self, request: Request) -> Row:
        return self._add_prediction(self._get(self.tasks, request.body["task"])["project"], request.body)

    def _change_prediction(self, request: Request, number: int) -> Row | None:
        row = self._get(self.predictions, number)
        if request.method == "DELETE":
            del self.predictions[number]
            return None
        row.update(request.body or {})
        return row

    def _delete_version(self, request: Request, project: int) -> Row:
        version, row = request.body["model_version"], self._get(self.projects, project)
        gone = [n for n, p in self.predictions.items() if p["project"] == project and p["model_version"] == version]
        for number in gone:
            del self.predictions[number]
        titles = {b["title"] for b in self.backends.values() if b["project"] == project}
        if row["model_version"] == version or row["model_version"] in titles:
            row["model_version"] = None
        return {"deleted_predictions": len(gone)}

    def _action(self, request: Request) -> Row:
        """The Data Manager's "Delete predictions", for all tasks."""
        if request.query["id"] != "delete_tasks_predictions":
            raise Refused(400, f"{request.query['id']} is not played here")
        gone = [n for n, p in self.predictions.items() if str(p["project"]) == request.query["project"]]
        for number in gone:
            del self.predictions[number]
        return {"processed_items": len(gone)}

    # ML backends, webhooks, views

    def _check_backend(self, row: Row) -> None:
        """Asks the backend for /health and /setup, as the real one does before it takes one."""
        auth = (row["basic_auth_user"], row["basic_auth_pass"]) if row.get("auth_method") == "BASIC_AUTH" else None
        about = self.projects[row["project"]]
        setup = {"project": f"{row['project']}.1", "schema": about["label_config"], "hostname": "", "access_token": ""}
        try:
            with httpx.Client(auth=auth, timeout=3, trust_env=False) as http:
                health = http.get(f"{row['url']}/health")
                answer = http.post(f"{row['url']}/setup", json=setup)
        except httpx.HTTPError as error:
            text = f"Can't connect to ML backend {row['url']}, health check failed. Additional info: "
            pool = "<_SsrfGuardedHTTPConnectionPool object>: Max retries exceeded (Connection refused)"
            raise Refused(400, {"non_field_errors": [f"{text}{pool}: {error!r}"]}) from error
        if health.status_code == 401 or not health.is_success:
            raise Refused(400, {"non_field_errors": [f"Can't connect to ML backend {row['url']}, health check failed."]})
        if not answer.is_success:
            text = f"Successfully connected to {row['url']} but it doesn't look like a valid ML backend. Reason: "
            raise Refused(400, {"non_field_errors": [f"{text}{answer.status_code} {answer.reason_phrase}"]})

    def _add_backend(self, request: Request) -> Row:
        project = self._get(self.projects, request.body["project"])
        if self.blocks_private:
            self._add(self.backends, request.body)  # refused, and kept all the same
            raise Refused(403, "URL resolves to a reserved network address (block: 127.0.0.0/8)")
        self._check_backend(request.body)
        row = self._add(self.backends, request.body)
        hook = {"url": f"{row['url']}/webhook", "project": row["project"], "headers": {}, "is_active": True}
        if _has_valid_host(hook["url"]):
            self._add(self.webhooks, hook | {"send_payload": True, "send_for_all_actions": True})
        if project["show_collab_predictions"] and not project["model_version"]:
            project["model_version"] = row["title"]
        return _public(row)

    def _change_backend(self, request: Request, number: int) -> Row | None:
        row = self._get(self.backends, number)
        if request.method == "DELETE":
            del self.backends[number]
            return None
        if request.method == "PATCH":
            self._check_backend(row | request.body)
            row.update(request.body)
        return _public(row)

    def _add_webhook(self, request: Request) -> Row:
        if not _has_valid_host(request.body["url"]):
            raise Refused(400, {"url": ["Enter a valid URL."]})
        if self.blocks_private:
            raise Refused(403, "URL resolves to a reserved network address (block: 127.0.0.0/8)")
        fields = {"project": None, "headers": {}, "is_active": True, "send_payload": True, "send_for_all_actions": True}
        return self._add(self.webhooks, fields | request.body)

    def _change_webhook(self, request: Request, number: int) -> Row | None:
        row = self._get(self.webhooks, number)
        if request.method == "DELETE":
            del self.webhooks[number]
            return None
        if not _has_valid_host((request.body or {}).get("url", row["url"])):
            raise Refused(400, {"url": ["Enter a valid URL."]})
        row.update({key: value for key, value in (request.body or {}).items() if key != "project"})
        return row

    def _change_view(self, request: Request, number: int) -> Row | None:
        row = self._get(self.views, number)
        if request.method == "DELETE":
            del self.views[number]
            return None
        row.update(request.body or {})
        return row


def _public(row: Row) -> Row:
    """A backend as the API shows it: without its password."""
    return {key: value for key, value in row.items() if key != "basic_auth_pass"}


def _has_valid_host(url: str) -> bool:
    """Whether a webhook may go there: its host needs a dot, localhost excepted."""
    host = urlsplit(url).hostname or ""
    return "." in host or host == "localhost"


def _cannot_be_encoded(task: Row) -> bool:
    """Whether its data hold half of a UTF-16 pair, over which Label Studio fails to answer for the whole page."""
    return any("\ud800" <= letter <= "\udfff" for letter in json.dumps(task["data"], ensure_ascii=False))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _listed(name: str) -> Callable[..., list[Row]]:
    return lambda self, request: [_public(row) for row in self._of(getattr(self, name), request)]


_L = LabelStudioInMemory
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", "/api/token/refresh/", lambda _, request: {"access": f"access-{request.body['refresh']}"}),
    ("GET", "/api/version/?", lambda *_: {"release": "1.23.2"}),
    ("GET", "/health", lambda *_: {"status": "UP"}),
    ("GET", "/api/projects/?", lambda self, _: {"results": list(self.projects.values()), "count": len(self.projects)}),
    ("POST", "/api/projects/?", lambda self, r: self._add(self.projects, PROJECT | {"created_at": _now()} | r.body)),
    ("GET", r"/api/projects/(\d+)/?", _L._project),
    ("PATCH", r"/api/projects/(\d+)/?", _L._patch_project),
    ("DELETE", r"/api/projects/(\d+)/?", _L._delete_project),
    ("GET", r"/api/projects/(\d+)/next/?", _L._next),
    ("POST", r"/api/projects/(\d+)/import/?", _L._import_tasks),
    ("POST", r"/api/projects/(\d+)/import/predictions/?", _L._import_predictions),
    ("GET", r"/api/projects/(\d+)/model-versions/", _L._versions),
    ("DELETE", r"/api/projects/(\d+)/model-versions/", _L._delete_version),
    ("GET", "/api/tasks/?", _L._list_tasks),
    ("GET", r"/api/tasks/(\d+)/?", _L._task),
    ("DELETE", r"/api/tasks/(\d+)/?", _L._delete_task),
    ("GET", r"/api/tasks/(\d+)/annotations/", lambda self, r, task: self._task(r, task)["annotations"]),
    ("POST", r"/api/tasks/(\d+)/annotations/", lambda self, request, task: self._annotate(task, request.body)),
    *((method, r"/api/annotations/(\d+)/?", _L._change_annotation) for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/api/predictions/?", _listed("predictions")),
    ("POST", "/api/predictions/?", _L._create_prediction),
    *((method, r"/api/predictions/(\d+)/?", _L._change_prediction) for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/api/ml/?", _listed("backends")),
    ("POST", "/api/ml/?", _L._add_backend),
    *((method, r"/api/ml/(\d+)/?", _L._change_backend) for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/api/webhooks/", _listed("webhooks")),
    ("POST", "/api/webhooks/", _L._add_webhook),
    *((method, r"/api/webhooks/(\d+)/", _L._change_webhook) for method in ("GET", "PATCH", "DELETE")),
    ("GET", "/api/dm/views/?", _listed("views")),
    ("POST", "/api/dm/views/?", lambda self, request: self._add(self.views, request.body)),
    *((method, r"/api/dm/views/(\d+)/?", _L._change_view) for method in ("GET", "PATCH", "DELETE")),
    ("POST", "/api/dm/actions/?", _L._action),
]
OPEN = ("/api/token/refresh/", "/health")  # no token is asked for there
MAKES = re.compile(r"/api/(ml|webhooks|projects|predictions|dm/views|tasks/\d+/annotations|.*import.*)/?")  # 201 to a POST


def _handler(studio: LabelStudioInMemory) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # an answer leaves at once

        def any(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            request = Request(self.command, parts.path, query, json.loads(raw) if raw else None, dict(self.headers.items()))
            studio.requests.append(request)
            if studio.out_of_order:
                self.send(studio.out_of_order, b"{}")
            elif parts.path not in OPEN and self.headers.get("Authorization") != f"Bearer access-{TOKEN}":
                self.send(401, json.dumps({"detail": "Given token not valid for any token type"}).encode())
            elif parts.path in studio.files:
                self.send(200, studio.files[parts.path], "application/octet-stream")
            else:
                self.send(*self.answered(request))

        def answered(self, request: Request) -> tuple[int, bytes]:
            try:
                found = studio.answer(request)
            except Refused as refusal:
                errors = refusal.detail if isinstance(refusal.detail, dict) else {"non_field_errors": refusal.detail}
                plain = {"detail": refusal.detail} if isinstance(refusal.detail, str) else {"validation_errors": errors}
                return refusal.status, json.dumps(plain | {"status_code": refusal.status}).encode()
            made = request.method == "POST" and MAKES.fullmatch(request.path)
            return (204, b"") if found is None else (201 if made else 200, json.dumps(found).encode())

        def send(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
