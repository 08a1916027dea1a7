"""All that is said to Label Studio about projects, tasks, annotations and predictions."""

import itertools
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from backend.labelstudio import queries
from backend.labelstudio.answers import problem, unlike_label_studio
from backend.labelstudio.errors import LabelStudioError, unreachable
from backend.labelstudio.pages import Listing
from backend.labelstudio.token import TokenAuth
from backend.network.proxies import Proxies, ProxyError
from backend.network.transport import make_client, request_within
from backend.settings import Settings

__all__ = ["LabelStudio", "LabelStudioError"]

log = logging.getLogger(__name__)

TASK_FIELDS = (
    "id,data,updated_at,overlap,is_labeled,annotations,result,was_cancelled,ground_truth,completed_by,created_at,lead_time"
)
ANSWER_FIELDS = "id,annotations,result,was_cancelled,ground_truth,completed_by"
OVERLAP = timedelta(seconds=60)  # a slow transaction may appear with an earlier updated_at than one already read
SECONDS = 120.0  # that one answer may take
TRIES = 4
LONGEST_WAIT = 30.0  # between tries, whatever Label Studio asks for
OUTAGE_SECONDS = 10.0
PROJECTS_A_PAGE = 100
TOGETHER = 100  # ids in one request, whose address holds them


class LabelStudio:
    """A client for one Label Studio. Safe to share between threads. Raises LabelStudioError.

    url: LABEL_STUDIO_URL. auth: sends its token, and only ever to that address. tries: how often it is asked while it is down.
    patient: whether whoever asks has the time to wait for another try.
    """

    def __init__(self, settings: Settings, tries: int = TRIES) -> None:
        self._tries = tries
        self.patient: Callable[[], bool] = lambda: True
        self.url = _without_login(settings.label_studio_url)
        try:
            self.http = make_client(Proxies.of_environment(), SECONDS)
        except ProxyError as error:
            raise LabelStudioError(str(error)) from None
        self.auth = TokenAuth(self.url, settings.label_studio_api_key.get_secret_value(), self.http)
        self.http.base_url, self.http.auth = httpx.URL(self.url), self.auth

    def __enter__(self) -> "LabelStudio":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def request(self, method: str, path: str, wants: type = object, **options: Any) -> Any:
        """The JSON that Label Studio answers, of the type `wants`. It is asked again while it is down or busy.

        A POST is sent again only where it surely was not done: no connection, or 429 or 503. Raises LabelStudioError.
        """
        for attempt in range(1, self._tries + 1):
            try:
                return self._ask(method, path, wants, **options)
            except LabelStudioError as error:
                again = error.passing and (error.undone or method != "POST")
                if attempt == self._tries or not again or not self.patient():
                    raise
                log.info("%s %s: %s; trying again", method, path, error)
                time.sleep(min(2 ** (attempt - 1) if error.again_in is None else error.again_in, LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def _ask(self, method: str, path: str, wants: type = object, **options: Any) -> Any:
        try:
            response = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from None
        if not response.is_success:
            raise problem(response, self.url)
        try:
            answer = response.json() if response.content else None
        except (ValueError, RecursionError):
            raise unlike_label_studio(response, self.url) from None
        if not isinstance(answer, wants):
            raise unlike_label_studio(response, self.url)
        return answer

    def outage(self) -> LabelStudioError | None:
        """Why Label Studio's API does not answer, or refuses the token; None where it answers. Asked once, within seconds.

        Tells the trouble of one file from that of all.
        """
        try:
            with request_within(time.monotonic() + OUTAGE_SECONDS):
                self._ask("GET", "/api/current-user/whoami")
        except LabelStudioError as error:
            return error if error.passing or error.status == 401 else None
        return None

    def answers(self) -> bool:
        """Whether it lists projects, so that a 404 for one of them means that this one is gone."""
        try:
            return "results" in self.request("GET", "/api/projects", dict, params={"page_size": 1})
        except LabelStudioError:
            return False

    def whoami(self) -> dict[str, Any]:
        """The token's user: id, email and what else Label Studio says of it."""
        person = self.request("GET", "/api/current-user/whoami", dict)
        _member(person, "id", int)
        return person

    def project_titles(self) -> dict[int, str]:
        """Titles of all projects that the token's user may see, by their ids."""
        titles: dict[int, str] = {}
        for page in itertools.count(1):
            params = {"include": "id,title", "page": page, "page_size": PROJECTS_A_PAGE}
            answer = self.request("GET", "/api/projects", dict, params=params)
            titles |= {entry["id"]: str(entry["title"]) for entry in _member(answer, "results", list)}
            if not answer.get("next"):
                break
        return titles

    def project(self, project: int) -> dict[str, Any]:
        """The project's settings."""
        return self.request("GET", f"/api/projects/{project}", dict)

    def patch_project(self, project: int, **changes: Any) -> dict[str, Any]:
        """Change project settings. Each call sends the webhook PROJECT_UPDATED."""
        return self.request("PATCH", f"/api/projects/{project}", dict, json=changes)

    def tasks(
        self, project: int, since: str = "", lost: dict[int, str] | None = None, overlap: timedelta = OVERLAP
    ) -> Iterator[list[dict[str, Any]]]:
        """Pages of tasks with their annotations: all, or those changed after `since` (an `updated_at`), or up to `overlap`
        before. Tasks that Label Studio itself fails to list go into `lost`, by their ids, with the reason."""
        query = queries.changed_since(since, overlap) if since else queries.EVERY
        return self._pages(project, TASK_FIELDS, query, lost)

    def tasks_between(
        self, project: int, first: int, last: int, lost: dict[int, str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """Pages of the tasks whose ids lie from `first` to `last`, with their annotations; `lost` as for `tasks`."""
        return self._pages(project, TASK_FIELDS, queries.between(first, last), lost)

    def count_between(self, project: int, first: int, last: int) -> int:
        """How many tasks have ids from `first` to `last`."""
        return int(_member(self._one_task(project, queries.between(first, last)), "total", int))

    def tasks_named(self, project: int, tasks: list[int], lost: dict[int, str] | None = None) -> list[dict[str, Any]]:
        """Those of `tasks` that are there, with their annotations; `lost` as for `tasks`."""
        return [task for page in self._pages(project, TASK_FIELDS, queries.named(tasks), lost) for task in page]

    def answers_of(self, project: int) -> Iterator[list[dict[str, Any]]]:
        """Pages of all tasks with their annotations and who made each, without the tasks' data."""
        return self._pages(project, ANSWER_FIELDS, queries.EVERY, {})

    def outermost_tasks(self, project: int) -> list[dict[str, Any]]:
        """The tasks of the lowest and of the highest id, of which only the ids are given; none where there is no task."""
        asked = (self._one_task(project, {"ordering": [order]}) for order in ("tasks:id", "-tasks:id"))
        return [task for answer in asked for task in _member(answer, "tasks", list)]

    def _one_task(self, project: int, query: queries.Query) -> dict[str, Any]:
        """What is listed by `query`: the id of the first task, and how many there are in all."""
        params = {"project": project, "fields": "all", "query": json.dumps(query), "include": "id", "page": 1, "page_size": 1}
        return self.request("GET", "/api/tasks", dict, params=params)

    def there(self, project: int, tasks: list[int]) -> set[int]:
        """Those of `tasks` that are there."""
        parts = (tasks[start : start + TOGETHER] for start in range(0, len(tasks), TOGETHER))
        pages = (page for part in parts for page in self._pages(project, "id", queries.named(part)))
        return {task["id"] for page in pages for task in page}

    def task_data(self, project: int, tasks: list[int]) -> dict[int, Any]:
        """The data of those of `tasks` that are there, by their ids."""
        return {task["id"]: task["data"] for page in self._pages(project, "id,data", queries.named(tasks)) for task in page}

    def _pages(
        self, project: int, include: str, query: dict[str, Any], lost: dict[int, str] | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        options = {"project": project, "fields": "all", "query": json.dumps(query)}

        def page(request: Callable[..., Any], include: str, number: int, size: int) -> list[Any]:
            params = options | {"include": include, "page": number, "page_size": size}
            return _member(request("GET", "/api/tasks", dict, params=params), "tasks", list)

        listing = Listing(
            patiently=partial(page, self.request, include),
            once=partial(page, self._ask, include),
            ids=partial(page, self.request, "id"),
            outage=self.outage,
        )
        return listing.pages({} if lost is None else lost)

    def ask_more(self, task: int, people: int) -> None:
        """Have `task` answered by so many people in all; who has answered it is not asked again."""
        self.request("PATCH", f"/api/tasks/{task}/", dict, json={"overlap": people, "is_labeled": False})

    def people(self) -> dict[int, str] | None:
        """What the people of the token's organization are called, by their ids: a name, or the e-mail address. None where Label
        Studio does not list them for this token, as its Enterprise edition does not for annotators."""
        try:
            found = self.request("GET", "/api/users", list)
        except LabelStudioError as error:
            if error.passing or error.status == 401:
                raise
            return None
        return {
            person["id"]: called(person) for person in found if isinstance(person, dict) and isinstance(person.get("id"), int)
        }

    def import_predictions(self, project: int, predictions: list[dict[str, Any]]) -> int:
        """Publish predictions in one request; returns how many Label Studio really stored."""
        answer = self.request("POST", f"/api/projects/{project}/import/predictions", dict, json=predictions)
        return _member(answer, "created", int)

    def predictions(self, project: int, *versions: str) -> list[dict[str, Any]]:
        """The predictions of `versions`: id, task, model_version, score, result. They are read by pages of tasks, so that those
        that another model has made for every task cost nothing."""
        if not versions:
            return []
        pages = self._pages(project, "id,predictions", queries.with_predictions_of(versions))
        found = {one["id"]: one for page in pages for task in page for one in task["predictions"]}
        return [one for one in found.values() if one["model_version"] in versions]

    def prediction_counts(self, project: int) -> dict[str, int]:
        """How many predictions each model version has."""
        return self.request("GET", f"/api/projects/{project}/model-versions/", dict)

    def task_predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions of one task."""
        return self.request("GET", "/api/predictions", list, params={"task": task})

    def set_score(self, prediction: int, score: float) -> None:
        """Move one prediction in the queue."""
        self.request("PATCH", f"/api/predictions/{prediction}", json={"score": score})

    def annotations(self, task: int) -> list[dict[str, Any]]:
        """The annotations of one task, skips included."""
        return self.request("GET", f"/api/tasks/{task}/annotations/", list)

    def annotate(self, task: int, annotation: dict[str, Any]) -> dict[str, Any]:
        """Answer a task as the token's user; returns the annotation as it is stored."""
        return self.request("POST", f"/api/tasks/{task}/annotations/", dict, json=annotation)

    def annotate_by_predictions(self, project: int, version: str, tasks: list[int]) -> None:
        """Turn the predictions of `version` for `tasks` into annotations of the token's user, as the Data Manager does: with
        the same result, and not a second time where that was done."""
        selected = {"selectedItems": {"all": False, "included": tasks}, "model_version": version, "ordering": []}
        body = selected | {"filters": {"conjunction": "and", "items": []}}
        self.request("POST", "/api/dm/actions", params={"id": "predictions_to_annotations", "project": project}, json=body)

    def delete_annotation(self, annotation: int) -> None:
        """Delete one annotation, which serves its task again; one that is gone already is fine."""
        self._delete(f"/api/annotations/{annotation}/")

    def delete_prediction(self, prediction: int) -> None:
        """Delete one prediction; one that is gone already is fine."""
        self._delete(f"/api/predictions/{prediction}")

    def _delete(self, path: str) -> None:
        try:
            self.request("DELETE", path)
        except LabelStudioError as error:
            if error.status != 404:
                raise


def called(person: dict[str, Any]) -> str:
    """What to call a person of Label Studio's."""
    names = (str(person.get(part) or "") for part in ("first_name", "last_name"))
    return " ".join(filter(None, names)) or str(person.get("email") or person.get("username") or f"user {person['id']}")


def _member(answer: dict[str, Any], name: str, wants: type) -> Any:
    """What an answer holds under `name`. Raises LabelStudioError where that is not what Label Studio sends."""
    if not isinstance(answer.get(name), wants):
        raise LabelStudioError(f"The answer holds no {name!r}, as Label Studio's does. Check LABEL_STUDIO_URL.")
    return answer[name]


def _without_login(address: str) -> str:
    """The address without user name and password, which the token takes the place of, and without query."""
    try:
        url = httpx.URL(address.strip())
    except (httpx.InvalidURL, ValueError):
        raise LabelStudioError("LABEL_STUDIO_URL is no address: set it to one such as http://localhost:8080") from None
    return str(url.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
