"""What differs between Label Studio's settings and stored predictions and what this plugin made of them.

People change things by hand: another sampling, a deleted webhook, "Delete predictions". A reconcile mends what belongs to the
queue and names the rest; `status` shows it; `connect` puts it right.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.wiring import TITLE, Row, Wiring
from backend.records.state import ProjectState

SAMPLING = "Uncertainty sampling"
WANTED: dict[str, Any] = {  # project settings; `disconnect` puts back what they were
    "sampling": SAMPLING,
    "min_annotations_to_start_training": 0,  # above 0, Label Studio asks for a training inside the annotator's Submit
    "enable_empty_annotation": False,  # or a hotkey that unticks a right pre-annotation is saved as an empty answer
}
AGAIN = "`connect` puts it right"


@dataclass(frozen=True)
class Difference:
    """kind: "sampling", "empty answers", "training", "backend", "webhook", "twin", "model version" or "predictions"; seen: what
    differs; step: what puts it right."""

    kind: str
    seen: str
    step: str = AGAIN

    @property
    def text(self) -> str:
        """A sentence with the next step."""
        return f"{self.seen}; {self.step}"


def differences(
    wiring: Wiring, state: ProjectState, info: dict[str, Any], counts: dict[str, int], published: Collection[int]
) -> list[Difference]:
    """What differs, for a connected project.

    info: the project as Label Studio gives it; counts: predictions stored under each version; published: tasks that were
    published under the live version. Asks Label Studio for ML backends and webhooks. Raises LabelStudioError.
    """
    return [
        *setting_differences(info, bool(state.target.get("empty"))),
        *wiring_differences(wiring),
        *_queue(state, info, counts, published),
    ]


def wanted_settings(may_be_empty: bool) -> dict[str, Any]:
    """WANTED, for a project in which nothing chosen may be an answer, or may not."""
    return WANTED | {"enable_empty_annotation": may_be_empty}


def setting_differences(info: dict[str, Any], may_be_empty: bool) -> list[Difference]:
    """What differs in the project's settings, as Label Studio gives them. may_be_empty: whether nothing chosen is an answer."""
    found = []
    if info["sampling"] != SAMPLING:
        seen = f"sampling is {info['sampling']!r}: tasks are not served in the order of the queue"
        found.append(Difference("sampling", seen))
    if may_be_empty and not info.get("enable_empty_annotation"):
        seen = "Label Studio refuses empty answers, so nobody can say that an image is of none of the classes"
        found.append(Difference("empty answers", seen))
    elif not may_be_empty and info.get("enable_empty_annotation"):
        seen = "empty answers may be submitted, so a hotkey that unticks a pre-annotation can erase a label"
        found.append(Difference("empty answers", seen))
    if info["min_annotations_to_start_training"]:
        seen = f"Label Studio starts a training within every {info['min_annotations_to_start_training']}th Submit"
        found.append(Difference("training", seen))
    return found


def wiring_differences(wiring: Wiring) -> list[Difference]:
    """What differs in the project's ML backends and webhooks. Raises LabelStudioError."""
    backends = wiring.backends()
    return [*backend_differences(wiring, backends), *webhook_differences(wiring), *twin_differences(wiring, backends)]


def backend_differences(wiring: Wiring, backends: Collection[Row]) -> list[Difference]:
    """Whether one of the project's ML `backends` is ours."""
    if any(row["url"].rstrip("/") == wiring.url for row in backends):
        return []
    seen = f"no ML backend at BACKEND_URL={wiring.url}: batch predictions and Start Training do not reach us"
    return [Difference("backend", seen)]


def webhook_differences(wiring: Wiring) -> list[Difference]:
    """What is wrong with the project's webhook. Raises LabelStudioError."""
    hooks = [row for row in wiring.webhooks() if row["url"].rstrip("/") == wiring.webhook_url]
    if not hooks:
        why = f"no webhook to {wiring.webhook_url}"
    elif not any(row["is_active"] for row in hooks):
        why = f"the webhook to {wiring.webhook_url} is switched off"
    elif not any(row["is_active"] and row["send_for_all_actions"] and row["send_payload"] for row in hooks):
        why = f"the webhook to {wiring.webhook_url} does not report everything"
    elif not any((row.get("headers") or {}) == wiring.headers for row in hooks):
        why = f"the webhook to {wiring.webhook_url} has other credentials"
    else:
        return []
    return [Difference("webhook", f"{why}: labels reach us by the next reconcile only")]


def twin_differences(wiring: Wiring, backends: Collection[Row]) -> list[Difference]:
    """Which of the project's ML `backends` are those of another plugin."""
    return [
        Difference(
            "twin",
            f"an ML backend {TITLE!r} stands at {row['url']} too: another plugin there would take the queue from this one",
            "disconnect it there, or delete it under Settings > Model",
        )
        for row in backends
        if row.get("title") == TITLE and not wiring.owns_backend(row)
    ]


def _queue(state: ProjectState, info: dict[str, Any], counts: dict[str, int], published: Collection[int]) -> list[Difference]:
    if not state.live or not published:
        return []
    found = []
    if info["model_version"] != state.live:
        seen = f"Label Studio follows {info['model_version'] or 'no version'!r}, not {state.live}"
        found.append(Difference("model version", seen, "the next reconcile sets it"))
    stored = counts.get(state.live, 0)
    if stored != len(published):
        seen = f"Label Studio holds {stored} predictions of {state.live}, {len(published)} were published"
        found.append(Difference("predictions", seen, "the next reconcile mends it"))
    return found
