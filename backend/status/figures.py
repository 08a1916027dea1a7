"""What may be said of a version's F1 and of more labels, from its values in `status`; no figure that too few images tell."""

from dataclasses import dataclass
from typing import Any

from model.metrics import ENOUGH

SMALL_GAIN = 0.005  # of macro F1: what hardly anybody would label on for
WHOLE_SCALE = 0.6  # width of an interval of F1 from which on it says nothing that a figure could stand for
WORTH_IT, UNSURE, HARDLY = "worth it", "not sure that they help", "hardly worth it"


def figure(version: dict[str, Any] | None) -> float | None:
    """A version's macro F1, None where it is not measured, or not on enough random slots."""
    return version["macro_f1"] if version and version.get("enough") else None


def bounds(version: dict[str, Any] | None) -> tuple[float, float] | None:
    """The 95 % interval of a version's macro F1, None where that is not measured, or says nothing."""
    if not version or version.get("macro_f1") is None or not version.get("interval"):
        return None
    low, high = version["interval"]
    return (low, high) if version["enough"] or high - low <= WHOLE_SCALE else None


def f1(version: dict[str, Any] | None) -> str:
    """A version's macro F1 with its interval, or why there is none. Without enough random slots there is no figure."""
    if not version or version.get("macro_f1") is None:
        return "not measured yet: no random slot is labelled, or its backbone has learned them all"
    slots = f"{version['random_slots']} random slot{'' if version['random_slots'] == 1 else 's'}"
    value, interval = figure(version), bounds(version)
    if not interval:
        text = f"unknown: {slots} of the {ENOUGH} that a figure takes, too few yet"
    elif value is None:
        text = f"between {interval[0]:.3f} and {interval[1]:.3f} (95 %) on {slots}: too few yet for a figure"
    else:
        text = f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f}, 95 %) on {slots}"
    unjudged = version.get("unjudged", 0)
    return f"{text}; of {unjudged} images imported since nobody has judged enough yet" if unjudged else text


@dataclass(frozen=True)
class Outlook:
    """What the next `labels` labels are expected to bring, in a text; 0 where it cannot be told, and the text says why.

    verdict: one of WORTH_IT, UNSURE and HARDLY, "" where it cannot be told.
    """

    labels: int
    text: str
    verdict: str

    @property
    def name(self) -> str:
        """What the text is about."""
        return f"next {self.labels} labels" if self.labels else "next labels"


def outlook(version: dict[str, Any] | None) -> Outlook:
    """What a version lets expect of the next labels."""
    if not version or not version.get("enough"):
        return Outlook(0, "too few random slots to tell yet", "")
    gain = version.get("gain")
    if not gain:
        return Outlook(0, "not measured: one class only, or nothing left to label", "")
    low, high = gain["interval"]
    verdict = HARDLY if high < SMALL_GAIN else WORTH_IT if low > 0 else UNSURE
    expected = f"{100 * gain['macro_f1']:+.1f} points of macro F1 expected ({100 * low:+.1f} to {100 * high:+.1f}, 95 %)"
    return Outlook(gain["labels"], f"{expected}: {verdict}", verdict)


def live_version(p: dict[str, Any]) -> dict[str, Any] | None:
    """What is known of the version that a project's queue follows, None where that is nothing."""
    return next((version for version in p.get("versions", []) if version["name"] == p["live"]), None)
