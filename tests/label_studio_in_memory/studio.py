"""The whole Label Studio: its parts, its routes, and the server that listens."""

import re
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any

from backend.labelstudio.client import LabelStudio
from backend.settings import Settings
from tests.label_studio_in_memory.connecting import Connecting, public
from tests.label_studio_in_memory.labelling import Labelling
from tests.label_studio_in_memory.predicting import Predicting
from tests.label_studio_in_memory.rows import PROJECT, Row, now
from tests.label_studio_in_memory.serving import TOKEN, Fault, Person, Refused, Request, handler


class LabelStudioInMemory(Labelling, Predicting, Connecting):
    """Use it as a context manager: it listens meanwhile. Everything it holds may be read and changed by tests."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}  # path -> what GET answers, as for uploaded images
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.out_of_order = 0  # the status that every request gets, as 500 while its database is locked; 0 for none
        self.release = "1.23.2"
        self.sign_up_is_open = False
        self.clock_off = 0.0  # seconds by which its clock is ahead
        self.url = ""
        self.people = {TOKEN: Person(1, "owner@example.com")}  # by their tokens
        self._lock = threading.RLock()

    def __enter__(self) -> "LabelStudioInMemory":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
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
        project = self._add(self.projects, PROJECT | {"title": title, "label_config": label_config, "created_at": now()})["id"]
        for image in images:
            self._add_task(project, image if isinstance(image, dict) else {"image": image})
        return project

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

    def person(self, request: Request) -> Person | None:
        """Whose access token a request bears."""
        return self.people.get(request.headers.get("Authorization", "").removeprefix("Bearer access-"))

    def _submit(self, request: Request, task: int) -> Row:
        """An annotation of whoever asks, unless it says whose it is: the real one takes anybody's word for that."""
        person = self.person(request)
        return self._annotate(task, ({"completed_by": person.id} if person else {}) | request.body)

    def person_id(self, request: Request) -> int:
        """Whose token it is, by the id."""
        person = self.person(request)
        return person.id if person else 1

    def _list_people(self, _: Request) -> list[Row]:
        names = {"first_name": "", "last_name": "", "username": ""}
        return [names | {"id": person.id, "email": person.email} for person in self.people.values()]

    def _whoami(self, request: Request) -> Row:
        person = self.person(request)
        if not person:
            return {}
        names = {"email": person.email, "username": person.email}
        return {"id": person.id, "active_organization": person.organization} | names

    def _list_projects(self, request: Request) -> Row:
        person = self.person(request)
        seen = [row for row in self.projects.values() if not person or person.sees is None or row["id"] in person.sees]
        return {"results": seen, "count": len(seen), "next": None}

    def _route(self, request: Request) -> Any:
        for method, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return handle(self, request, *(int(number) for number in match.groups()))
        raise Refused(404, "Not found.")


def _listed(name: str) -> Callable[..., list[Row]]:
    return lambda self, request: [public(row) for row in self._of(getattr(self, name), request)]


_L = LabelStudioInMemory
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", "/api/token/refresh/", lambda _, request: {"access": f"access-{request.body['refresh']}"}),
    ("GET", "/api/version/?", lambda self, _: {"release": self.release}),
    ("GET", "/health", lambda *_: {"status": "UP"}),
    ("GET", "/api/current-user/whoami/?", _L._whoami),
    ("GET", "/api/users/?", _L._list_people),
    ("GET", "/api/projects/?", _L._list_projects),
    ("POST", "/api/projects/?", lambda self, r: self._add(self.projects, PROJECT | {"created_at": now()} | r.body)),
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
    *((method, r"/api/tasks/(\d+)/?", _L._change_task) for method in ("PATCH", "DELETE")),
    ("GET", r"/api/tasks/(\d+)/annotations/", lambda self, r, task: self._task(r, task)["annotations"]),
    ("POST", r"/api/tasks/(\d+)/annotations/", _L._submit),
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
