"""What a Label Studio holds, as rows by their ids."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.label_studio_in_memory.serving import Refused, Request

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


class Rows:
    """Everything that is held. It may be read and changed by tests."""

    def __init__(self) -> None:
        self.projects: dict[int, Row] = {}
        self.tasks: dict[int, Row] = {}
        self.annotations: dict[int, Row] = {}
        self.predictions: dict[int, Row] = {}
        self.backends: dict[int, Row] = {}
        self.webhooks: dict[int, Row] = {}
        self.views: dict[int, Row] = {}
        self._ids = itertools.count(1)

    def task_ids(self, project: int) -> list[int]:
        """Ids of the project's tasks."""
        return [task["id"] for task in self.tasks.values() if task["project"] == project]

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

    def _versions(self, _: Request, project: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for prediction in self.predictions.values():
            if prediction["project"] == project:
                found[prediction["model_version"]] = found.get(prediction["model_version"], 0) + 1
        return found

    def _send_event(self, project: int, action: str) -> None:
        """Tell the project's webhooks, as the real one does: inside the request, for a second each, never again."""
        for hook in [hook for hook in self.webhooks.values() if hook["project"] == project and hook["is_active"]]:
            payload = {"action": action, "project": self.projects[project]}
            with suppress(httpx.HTTPError), httpx.Client(timeout=1, trust_env=False) as http:
                http.post(hook["url"], json=payload, headers=hook.get("headers") or {})


def now() -> str:
    """This moment as Label Studio writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
