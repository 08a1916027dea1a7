"""All that is said to Label Studio about projects, tasks, annotations and predictions."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx

from backend.settings import Settings

log = logging.getLogger(__name__)

PAGE = 500  # with annotations, sqlite fails on 1000: "Expression tree is too large"
TASK_FIELDS = "id,data,updated_at,annotations,result,was_cancelled,ground_truth"
OVERLAP = timedelta(seconds=60)  # a slow transaction may appear with an earlier updated_at than one already read
TRIES = 4
KEY_ADVICE = (
    "make a personal access token in Label Studio under Account & Settings > Personal Access Token "
    "and set it as LABEL_STUDIO_API_KEY (legacy tokens are off by default)."
)


class LabelStudioError(RuntimeError):
    """Label Studio refused or could not be reached; the message gives the next step. status: HTTP status, 0 for none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class TokenAuth(httpx.Auth):
    """Sends a personal access token as the short-lived access token it stands for; a legacy token as it is."""

    requires_response_body = True

    def __init__(self, url: str, token: str) -> None:
        self._refresh = httpx.URL(url + "/api/token/refresh/")
        self._token = token
        self._access = ""

    def auth_flow(self, request: httpx.Request) -> Any:
        """httpx's hook: refresh where needed, send, and once more with a fresh token after a 401."""
        if self._token.count(".") != 2:
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        for attempt in range(2):
            if attempt or not self._access:
                answer = yield httpx.Request("POST", self._refresh, json={"refresh": self._token})
                if answer.status_code != 200:
                    raise LabelStudioError(f"LABEL_STUDIO_API_KEY was refused ({answer.status_code}): {KEY_ADVICE}", 401)
                self._access = answer.json()["access"]
            request.headers["Authorization"] = f"Bearer {self._access}"
            answer = yield request
            if answer.status_code != 401:
                return


class LabelStudio:
    """A client for one Label Studio. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        token = settings.label_studio_api_key.get_secret_value()
        if not token:
            raise LabelStudioError(f"LABEL_STUDIO_API_KEY is not set: {KEY_ADVICE}", 401)
        self.url = settings.label_studio_url
        self.auth = TokenAuth(self.url, token)
        self.http = httpx.Client(base_url=self.url, auth=self.auth, timeout=httpx.Timeout(120, connect=5))

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The JSON that Label Studio answers. Reads, changes and deletions are tried again while it is down or busy.

        Raises LabelStudioError.
        """
        tries = 1 if method == "POST" else TRIES
        for attempt in range(1, tries + 1):
            try:
                response = self.http.request(method, path, **options)
            except httpx.HTTPError as error:
                problem = LabelStudioError(f"Label Studio at {self.url} does not answer ({error!r}). Check LABEL_STUDIO_URL.")
            else:
                if response.is_success:
                    return response.json() if response.content else None
                problem = LabelStudioError(_explain(response), response.status_code)
                if response.status_code < 500:
                    raise problem
            if attempt < tries:
                log.info("%s %s: %s; trying again", method, path, problem)
                time.sleep(2 ** (attempt - 1))
        raise problem

    def answers(self) -> bool:
        """Whether it lists projects, so that a 404 for one of them means that this one is gone."""
        try:
            return "results" in self.request("GET", "/api/projects", params={"page_size": 1})
        except (LabelStudioError, ValueError, TypeError):
            return False

    def project(self, project: int) -> dict[str, Any]:
        """The project's settings."""
        return self.request("GET", f"/api/projects/{project}")

    def patch_project(self, project: int, **changes: Any) -> dict[str, Any]:
        """Change project settings. Each call sends the webhook PROJECT_UPDATED."""
        return self.request("PATCH", f"/api/projects/{project}", json=changes)

    def tasks(self, project: int, since: str = "") -> Iterator[list[dict[str, Any]]]:
        """Pages of tasks with their annotations: all, or those changed at about `since` (an `updated_at`) or later."""
        query: dict[str, Any] = {"ordering": ["tasks:id"]}
        if since:
            moment = (datetime.fromisoformat(since) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            item = {"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": moment}
            query["filters"] = {"conjunction": "and", "items": [item]}
        return self._pages(project, TASK_FIELDS, query)

    def task_ids(self, project: int) -> set[int]:
        """Ids of all tasks."""
        pages = self._pages(project, "id", {"ordering": ["tasks:id"]})
        return {task["id"] for page in pages for task in page}

    def task_data(self, project: int, tasks: list[int]) -> dict[int, Any]:
        """The data of those of `tasks` that are there, by their ids."""
        item = {"filter": "filter:tasks:id", "operator": "in_list", "type": "Number", "value": tasks}
        query = {"ordering": ["tasks:id"], "filters": {"conjunction": "and", "items": [item]}}
        return {task["id"]: task["data"] for page in self._pages(project, "id,data", query) for task in page}

    def _pages(self, project: int, include: str, query: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        number = 0
        while True:
            number += 1
            options = {"project": project, "page": number, "page_size": PAGE, "include": include, "fields": "all"}
            try:
                found = self.request("GET", "/api/tasks", params=options | {"query": json.dumps(query)})["tasks"]
            except LabelStudioError as error:
                if error.status == 404 and number > 1:  # past the end: the last page was full
                    return
                raise
            yield found
            if len(found) < PAGE:
                return

    def import_predictions(self, project: int, predictions: list[dict[str, Any]]) -> int:
        """Publish predictions in one request; returns how many Label Studio really stored."""
        return self.request("POST", f"/api/projects/{project}/import/predictions", json=predictions)["created"]

    def predictions(self, project: int) -> list[dict[str, Any]]:
        """All predictions of the project: id, task, model_version, score."""
        return self.request("GET", "/api/predictions", params={"project": project})

    def prediction_counts(self, project: int) -> dict[str, int]:
        """How many predictions each model version has."""
        return self.request("GET", f"/api/projects/{project}/model-versions/")

    def task_predictions(self, task: int) -> list[dict[str, Any]]:
        """The predictions of one task."""
        return self.request("GET", "/api/predictions", params={"task": task})

    def set_score(self, prediction: int, score: float) -> None:
        """Move one prediction in the queue."""
        self.request("PATCH", f"/api/predictions/{prediction}", json={"score": score})

    def annotations(self, task: int) -> list[dict[str, Any]]:
        """The annotations of one task, skips included."""
        return self.request("GET", f"/api/tasks/{task}/annotations/")

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


def _explain(response: httpx.Response) -> str:
    """A refusal as a sentence with the next step."""
    try:
        body = response.json()
        detail = json.dumps(body.get("validation_errors") or body.get("detail") or body)
    except (ValueError, AttributeError):
        detail = response.text[:200]
    where = f"{response.request.method} {response.request.url.path}"
    if response.status_code == 401:
        return f"LABEL_STUDIO_API_KEY was refused (401 on {where}): {KEY_ADVICE}"
    if response.status_code == 404:
        return f"{where}: not found (404). Check the id, and that the token's user belongs to the same organization."
    return f"{where}: Label Studio answered {response.status_code}: {detail[:500]}"
