"""What `connect` makes in a Label Studio project: ML backend, webhook and the Data Manager's tab. And whose such things are.

Ours is what stands at our address, or has the id that we remember together with our title. Anything else is a stranger's: it is
neither changed nor deleted.
"""

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from backend.labelstudio.client import LabelStudio, LabelStudioError

TITLE = "Active learning"
TAB = "Queue"
ORDER = ["tasks:predictions_score"]
IN_QUEUE = 0.5  # places of the queue lie below
SSRF_ADVICE = (
    "Label Studio refuses backends on loopback or private addresses. Start it with these two settings, which keep cloud "
    "metadata addresses blocked:\n"
    "    USE_DEFAULT_BANNED_SUBNETS=false\n"
    "    USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16"
)
Row = dict[str, Any]


@dataclass
class Wiring:
    """A project's connections to us. url: BACKEND_URL; made: what an earlier `connect` made, ids by "backend", "webhook" and
    "view", and under "url" the BACKEND_URL of that time; also: other addresses known to be ours."""

    label_studio: LabelStudio
    project: int
    url: str
    credentials: tuple[str, str] | None = None
    made: dict[str, Any] = field(default_factory=dict)
    also: set[str] = field(default_factory=set)
    fresh_default: int = 0  # the tab of all tasks, where it was made just now: people keep it when we go

    @property
    def webhook_url(self) -> str:
        """Where webhooks go."""
        return f"{self.url}/webhook"

    @property
    def headers(self) -> dict[str, str]:
        """What a webhook must send besides: Label Studio does not give it the backend's credentials."""
        if not self.credentials:
            return {}
        token = base64.b64encode(":".join(self.credentials).encode()).decode()
        return {"Authorization": f"Basic {token}"}

    def backends(self) -> list[Row]:
        """The project's ML backends."""
        return list(self.label_studio.request("GET", "/api/ml", params={"project": self.project}))

    def webhooks(self) -> list[Row]:
        """The project's webhooks."""
        found = self.label_studio.request("GET", "/api/webhooks/", params={"project": self.project})
        return [row for row in found if row.get("project") == self.project]

    def views(self) -> list[Row]:
        """The project's tabs in the Data Manager."""
        return list(self.label_studio.request("GET", "/api/dm/views/", params={"project": self.project}))

    def owns_backend(self, row: Row) -> bool:
        """Whether an ML backend is ours."""
        return _plain(row["url"]) in self._addresses() or (row["id"] == self.made.get("backend") and row.get("title") == TITLE)

    def owns_webhook(self, row: Row) -> bool:
        """Whether a webhook is ours."""
        return _plain(row["url"]) in {f"{address}/webhook" for address in self._addresses()}

    def owns_view(self, row: Row) -> bool:
        """Whether a tab is ours: the one we made, unless people have renamed it, or one that shows just what ours does."""
        data = row.get("data") or {}
        return data.get("title") == TAB and (row["id"] == self.made.get("view") or data.get("ordering") == ORDER)

    def twins(self) -> list[Row]:
        """ML backends that have our title and are not ours: those of another plugin, or of an address long given up."""
        return [row for row in self.backends() if row.get("title") == TITLE and not self.owns_backend(row)]

    def there(self) -> set[tuple[str, int]]:
        """What the project has now, of whomever: kind and id of each."""
        rows = {"backend": self.backends(), "webhook": self.webhooks(), "view": self.views()}
        return {(kind, row["id"]) for kind in rows for row in rows[kind]}

    def put_backend(self) -> None:
        """See that the project has our ML backend at `url`. Raises LabelStudioError with the cause and the next step."""
        wanted = self._wanted_backend()
        here = self._backend_here()
        try:
            if here:
                self.label_studio.request("PATCH", f"/api/ml/{here['id']}", json=wanted)
                self.made["backend"] = here["id"]
            else:
                self.made["backend"] = self.label_studio.request("POST", "/api/ml", json=wanted)["id"]
        except LabelStudioError as error:
            raise LabelStudioError(explain_backend(error, self.url), error.status) from error

    def describe_backend(self, text: str) -> None:
        """Let people read `text` below our ML backend's title, where it has another text. Raises LabelStudioError."""
        here = self._backend_here()
        if here and here.get("description") != text:  # without the address and the like, Label Studio answers with a 500
            self.label_studio.request("PATCH", f"/api/ml/{here['id']}", json=self._wanted_backend() | {"description": text})

    def _wanted_backend(self) -> Row:
        wanted: Row = {"project": self.project, "url": self.url, "title": TITLE, "is_interactive": False, "auth_method": "NONE"}
        if self.credentials:
            user, password = self.credentials
            wanted |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
        return wanted

    def _backend_here(self) -> Row | None:
        """The project's ML backend at `url`, None where there is none."""
        return next((row for row in self.backends() if _plain(row["url"]) == self.url), None)

    def put_webhook(self) -> None:
        """See that one webhook with our credentials reports everything to `url`. Raises LabelStudioError."""
        wanted: Row = {"url": self.webhook_url, "send_payload": True, "send_for_all_actions": True, "is_active": True}
        wanted["headers"] = self.headers
        here = [row for row in self.webhooks() if _plain(row["url"]) == self.webhook_url]
        if here:
            self.label_studio.request("PATCH", f"/api/webhooks/{here[0]['id']}/", json=wanted)
            self.made["webhook"] = here[0]["id"]
        else:
            made = self.label_studio.request("POST", "/api/webhooks/", json=wanted | {"project": self.project})
            self.made["webhook"] = made["id"]

    def put_view(self, data_key: str) -> None:
        """See that the Data Manager has our tab, as people left it, and not alone: without any tab it shows all tasks, and with
        ours only it would show the queue and nothing else. Raises LabelStudioError."""
        views = self.views()
        if not views:
            self.fresh_default = self._make_view({"title": "Default", "type": "list", "target": "tasks"})
        mine = [row["id"] for row in views if row["id"] == self.made.get("view")] or [
            row["id"] for row in views if self.owns_view(row)
        ]
        self.made["view"] = mine[0] if mine else self._make_view(queue_view(data_key))

    def _make_view(self, data: dict[str, Any]) -> int:
        return int(self.label_studio.request("POST", "/api/dm/views/", json={"project": self.project, "data": data})["id"])

    def delete_doubles(self) -> None:
        """Delete our ML backends and webhooks but those made last: those of an earlier address, and whatever came twice."""
        for row in self.webhooks():
            if self.owns_webhook(row) and row["id"] != self.made["webhook"]:
                self.delete_webhook(row["id"])
        for row in self.backends():
            if self.owns_backend(row) and row["id"] != self.made["backend"]:
                self.delete_backend(row["id"])
        self.made["url"] = self.url

    def delete_new(self, before: set[tuple[str, int]]) -> None:
        """Delete what is ours and was not `there` before. Each is tried, whatever the others do. Raises LabelStudioError."""
        delete = {"webhook": self.delete_webhook, "backend": self.delete_backend, "view": self.delete_view}
        ours = [("webhook", row["id"]) for row in self.webhooks() if self.owns_webhook(row)]
        ours += [("backend", row["id"]) for row in self.backends() if self.owns_backend(row)]
        ours += [("view", row["id"]) for row in self.views() if self.owns_view(row) or row["id"] == self.fresh_default]
        problems = []
        for kind, number in ours:
            if (kind, number) not in before:
                try:
                    delete[kind](number)
                except LabelStudioError as error:
                    problems.append(error)
        if problems:
            raise problems[0]

    def delete_backend(self, number: int) -> None:
        """Delete an ML backend; one that is gone already is fine."""
        self._delete(f"/api/ml/{number}")

    def delete_webhook(self, number: int) -> None:
        """Delete a webhook; one that is gone already is fine."""
        self._delete(f"/api/webhooks/{number}/")

    def delete_view(self, number: int) -> None:
        """Delete a tab; one that is gone already is fine."""
        self._delete(f"/api/dm/views/{number}/")

    def _addresses(self) -> set[str]:
        return {self.url, _plain(str(self.made.get("url") or self.url)), *self.also}

    def _delete(self, path: str) -> None:
        try:
            self.label_studio.request("DELETE", path)
        except LabelStudioError as error:
            if error.status != 404:
                raise


def queue_view(data_key: str) -> dict[str, Any]:
    """The Data Manager's tab that shows what comes next: open tasks of the queue in its order, with their pre-annotation."""
    hidden = (
        "completed_at", "cancelled_annotations", "total_predictions", "annotators", "annotations_results", "annotations_ids",
        "predictions_model_versions", "file_upload", "storage_filename", "created_at", "updated_at", "updated_by",
        "avg_lead_time", "draft_exists", "ground_truth", "inner_id",
    )  # fmt: skip
    open_and_queued = [
        {"filter": "filter:tasks:total_annotations", "operator": "equal", "type": "Number", "value": 0},
        {"filter": "filter:tasks:predictions_score", "operator": "less", "type": "Number", "value": IN_QUEUE},
    ]
    return {
        "title": TAB,
        "type": "list",
        "target": "tasks",
        "ordering": ORDER,
        "filters": {"conjunction": "and", "items": open_and_queued},
        "hiddenColumns": {"explore": [f"tasks:{name}" for name in hidden], "labeling": [f"tasks:{name}" for name in hidden]},
        "columnsDisplayType": {f"tasks:data.{data_key}": "Image"},
        "gridWidth": 4,
    }


def webhook_host_trouble(url: str) -> str:
    """Why Label Studio, which takes `url` as a backend's address, refuses it as a webhook's; "" where it does not."""
    host = urlsplit(url).hostname or ""
    if "." in host or ":" in host or host == "localhost":
        return ""
    example = url.replace(host, f"{host}.internal", 1)
    return (
        f"Label Studio refuses webhook hosts without a dot, and BACKEND_URL={url} has none: give that machine a second name, "
        f"and set BACKEND_URL={example}."
    )


def is_of_the_guard(error: LabelStudioError) -> bool:
    """Whether Label Studio's guard against requests to private addresses (SSRF) has refused an address."""
    return error.status == 403 and any(sign in str(error) for sign in ("reserved network address", "was not allowed"))


def explain_backend(error: LabelStudioError, url: str) -> str:
    """Why Label Studio did not take the ML backend at `url`, and what to do: its own words blame its guard for everything."""
    text = str(error)
    if is_of_the_guard(error):
        return f"{text}\n{SSRF_ADVICE}"
    if "reserved network address" in text:
        return f"Label Studio's guard refuses BACKEND_URL={url}. {SSRF_ADVICE}"
    if error.status != 400 and "resolve hostname" not in text:
        return text
    reasons = {
        "Connection refused": "nobody listens there (connection refused)",
        "timed out": "nobody answers there in time",
        "resolve hostname": "its host name is not known there",
        "Failed to resolve": "its host name is not known there",
        "Name or service not known": "its host name is not known there",
        "No route to host": "there is no way to that host",
        "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted there",
    }
    for sign, reason in reasons.items():
        if sign in text:
            return (
                f"Label Studio cannot reach BACKEND_URL={url}: {reason}. Is the server up (`al-backend up`)? Seen from "
                "Label Studio's machine or container, localhost is that machine itself: set BACKEND_URL to a name it knows."
            )
    if "authentication parameters" in text:
        return (
            f"The server at BACKEND_URL={url} expects other credentials: BASIC_AUTH_USER and BASIC_AUTH_PASS must be its own."
        )
    return f"Label Studio does not take BACKEND_URL={url}: {text}"


def _plain(url: str) -> str:
    return url.rstrip("/")
