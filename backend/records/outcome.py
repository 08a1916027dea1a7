"""What came of a fine-tuning, and of a change of backbone, in a sentence for logs and people."""

import shlex
from typing import Any

from model.measuring.metrics import ENOUGH

AS_NOW = " as this version of the software computes it"
DEPTH_NAMES = {"last": "last stage", "all": "whole network"}


def describe_finetuned(result: dict[str, Any]) -> str:
    """What came of a fine-tuning, in one sentence."""
    what = f"ResNet50's {DEPTH_NAMES[result['depth']]} retrained on {result['labels']} labels"
    if result["probability"] is None:
        return f"{what}: not used, no label is left to judge it by; kept as {result['version']}"
    low, high = (100 * value for value in result["interval"])
    on = _images(result, f"{result['n']} images that it has not seen")
    judged = (
        f"{what}: macro F1 {result['new']:.3f} against {result['live']:.3f} on {on} ({low:+.1f} to {high:+.1f} points, 95 %), "
        f"better with probability {result['probability']:.2f}"
    )
    if result["promoted"]:
        return f"{judged}: promoted"
    few = f", too few yet (promotions need {ENOUGH})" if result.get("effective", result["n"]) < ENOUGH else ""
    return f"{judged}: not used{few}, kept as {result['version']}"


def describe_migration(found: dict[str, Any], project: int) -> str:
    """How far the way to another base backbone is, or what came of it (see backend/project/migration.py), in one sentence."""
    title = found["title"]
    if "promoted" not in found:
        title += AS_NOW if found["upgrade"] else ""
        how_far = f"to {title}: {found['done']} of {found['total']} images embedded"
        if found["lost"]:
            return (
                f"{how_far}; {found['lost']} that are known cannot be read any more, so it waits; {_by_force(found, project)}"
            )
        return f"{how_far}; the queue goes on as it is meanwhile"
    if found["kept"]:
        return f"not to {title}, since the queue was put back to {found['kept']}; {_by_force(found, project)}"
    if found.get("gone"):  # which outcomes on disk from before have not
        return f"to {title}: taken without being judged, since the weights of {found['gone']} are gone"
    if found["upgrade"]:
        return f"to {title}{AS_NOW}: all images are embedded anew, and used"
    if found["probability"] is None:
        judged = "no label is left to judge it by" if found["labels"] else "no label is there to judge it on"
    else:
        low, high = (100 * value for value in found["interval"])
        few = f", too few yet (it takes {ENOUGH})" if found["effective"] < ENOUGH else ""
        on = _images(found, f"{found['n']} random slots")
        judged = (
            f"macro F1 {found['live']:.3f} -> {found['new']:.3f} ({low:+.1f} to {high:+.1f} points, 95 %) on {on}{few}, better "
            f"with probability {found['probability']:.2f}"
        )
    if found["promoted"]:
        return f"to {title}: {judged}; {'taken because of --force' if found['forced'] else 'taken'}"
    return f"not to {title}: {judged}; {_by_force(found, project)}"


def _images(found: dict[str, Any], judged: str) -> str:
    """What a comparison speaks of: the images without a label, as outcomes on disk from before never do, or those `judged`."""
    return f"the images without a label, by {found['n']} labels that neither has learned" if found.get("unlabelled") else judged


def _by_force(found: dict[str, Any], project: int) -> str:
    return f"`al-backend connect --project {project} --backbone {shlex.quote(found['wish'])} --force` takes it all the same"
