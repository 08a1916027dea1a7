"""What may be said of a version's F1 and of more labels, from its values in `status`; no figure that too few images tell."""

from dataclasses import dataclass
from typing import Any

from model.measuring.metrics import ENOUGH

SMALL_GAIN = 0.005  # of macro F1: what hardly anybody would label on for
WHOLE_SCALE = 0.6  # width of an interval of F1 from which on it says nothing that a figure could stand for
WORTH_IT, UNSURE, HARDLY = "worth it", "not sure that they help", "hardly worth it"


def figure(version: dict[str, Any] | None) -> float | None:
    """A version's macro F1, None where it is not measured, or not well enough for a figure."""
    return version["macro_f1"] if version and version.get("enough") else None


def bounds(version: dict[str, Any] | None) -> tuple[float, float] | None:
    """The 95 % interval of a version's macro F1, None where that is not measured, or says nothing."""
    if not version or version.get("macro_f1") is None or not version.get("interval"):
        return None
    low, high = version["interval"]
    return (low, high) if version["enough"] or high - low <= WHOLE_SCALE else None


def f1(version: dict[str, Any] | None) -> str:
    """A version's macro F1 with its interval and what it is about, or why there is none. Where too little is known there is no
    figure."""
    if not version or version.get("macro_f1") is None:
        return "not measured yet: no random slot is labelled, or its backbone has learned them all"
    value, interval, unlabelled = figure(version), bounds(version), version.get("unlabelled", False)
    if not interval:
        text = f"unknown: too little to say anything yet, {_slots(version)}"
    elif value is None:
        why = "too wide yet for a figure" if unlabelled else "too few yet for a figure"
        text = f"between {interval[0]:.3f} and {interval[1]:.3f} (95 %) {_about(version)}: {why}"
    else:
        text = f"{_with_interval(value, interval)} {_about(version)}"
    unjudged = version.get("unjudged", 0)
    return f"{text}; of {unjudged} images imported since nobody has judged enough yet" if unjudged else text


def accuracy(version: dict[str, Any] | None) -> str:
    """A version's accuracy on the images without a label with its interval; "" where macro F1 has no figure either, and where
    it was measured otherwise."""
    if figure(version) is None or not version or not version.get("unlabelled"):
        return ""
    return f"{_with_interval(version['accuracy'], version['accuracy_interval'])} {_about(version)}"


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f}, 95 %)"


def _about(version: dict[str, Any]) -> str:
    """What a version's figures are about, and what they rest on."""
    return f"on the images without a label, by {_slots(version)}" if version.get("unlabelled") else f"on {_slots(version)}"


def _slots(version: dict[str, Any]) -> str:
    return f"{version['random_slots']} random slot{'' if version['random_slots'] == 1 else 's'}"


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
    if not version or version.get("effective", version.get("random_slots", 0)) < ENOUGH:
        return Outlook(0, f"too few random slots to tell yet: {ENOUGH} are needed", "")
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
