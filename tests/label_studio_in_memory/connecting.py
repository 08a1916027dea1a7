"""ML backends, webhooks and the tabs of the Data Manager."""

from urllib.parse import urlsplit

import httpx

from tests.label_studio_in_memory.rows import Row, Rows
from tests.label_studio_in_memory.serving import Refused, Request


class Connecting(Rows):
    """What a project is connected to."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks_private = False  # as a Label Studio without the two settings that allow private addresses

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
        if not isinstance(request.body.get("is_interactive", False), bool):
            raise self._refused_field("is_interactive")
        if self.blocks_private:
            self._add(self.backends, request.body)  # refused, and kept all the same
            raise Refused(403, "URL resolves to a reserved network address (block: 127.0.0.0/8)")
        self._check_backend(request.body)
        row = self._add(self.backends, request.body | {"state": "CO"})
        hook = {"url": f"{row['url']}/webhook", "project": row["project"], "headers": {}, "is_active": True}
        there = any(w["url"] == hook["url"] and w["project"] == row["project"] for w in self.webhooks.values())
        if _has_valid_host(hook["url"]) and not there:
            self._add(self.webhooks, hook | {"send_payload": True, "send_for_all_actions": True})
        if project["show_collab_predictions"] and not project["model_version"]:
            project["model_version"] = row["title"]
        return public(row)

    def _change_backend(self, request: Request, number: int) -> Row | None:
        row = self._get(self.backends, number)
        if request.method == "DELETE":
            del self.backends[number]
            return None
        if request.method == "PATCH":
            self._check_backend(row | request.body)
            row.update(request.body | {"state": "CO"})
        return public(row)

    def _add_webhook(self, request: Request) -> Row:
        if not _has_valid_host(request.body["url"]):
            raise Refused(400, {"url": ["Enter a valid URL."]})
        if not isinstance(request.body.get("is_active", True), bool):
            raise self._refused_field("is_active")
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

    def _refused_field(self, name: str) -> Refused:
        """Of a field that is no yes or no; the guard against private addresses speaks first."""
        if self.blocks_private:
            return Refused(403, "URL resolves to a reserved network address (block: 127.0.0.0/8)")
        return Refused(400, {name: ["Must be a valid boolean."]})

    def _change_view(self, request: Request, number: int) -> Row | None:
        row = self._get(self.views, number)
        if request.method == "DELETE":
            del self.views[number]
            return None
        row.update(request.body or {})
        return row


def public(row: Row) -> Row:
    """A backend as the API shows it: without its password."""
    return {key: value for key, value in row.items() if key != "basic_auth_pass"}


def _has_valid_host(url: str) -> bool:
    """Whether a webhook may go there: its host needs a dot, localhost excepted."""
    host = urlsplit(url).hostname or ""
    return "." in host or host == "localhost"
