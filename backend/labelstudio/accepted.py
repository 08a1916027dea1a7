"""The mark of a label that the model gave and a person only allowed: `accept` writes it into the label's own result.

Label Studio keeps it, and copies it where people turn predictions into annotations. Its editor writes a region anew as soon as
somebody changes anything in it, with the keys that it knows alone. So an annotation bears the mark until a person edits it, and
is that person's from then on; ground truth is a person's word too.
"""

from dataclasses import dataclass
from typing import Any

VERSION = "al-accepted"  # the model_version of accepted predictions
MARK = "al_accepted"  # the key of a region


@dataclass(frozen=True)
class Mark:
    """version: the one whose head gave the label; error: the share of wrong labels that was promised, in (0, 1)."""

    version: str
    error: float


def marked(region: dict[str, Any], mark: Mark) -> dict[str, Any]:
    """`region` with the mark, which holds what it says too: it means nothing beside another value."""
    return region | {MARK: {"value": region["value"], "version": mark.version, "error": mark.error}}


def mark_of(result: Any) -> Mark | None:
    """The mark in the `result` of an annotation or a prediction, None where there is none that fits what it says."""
    for region in result if isinstance(result, list) else []:
        said = region.get(MARK) if isinstance(region, dict) else None
        if isinstance(said, dict) and said.get("value") == region.get("value"):
            error, version = said.get("error"), said.get("version")
            if isinstance(error, float) and 0 < error < 1 and isinstance(version, str):
                return Mark(version, error)
    return None


def accepted_mark(annotation: Any) -> Mark | None:
    """The mark of an annotation that is the model's alone; None for one that a person has made, edited or vouched for."""
    if not isinstance(annotation, dict) or annotation.get("ground_truth") or annotation.get("was_cancelled"):
        return None
    return mark_of(annotation.get("result"))
