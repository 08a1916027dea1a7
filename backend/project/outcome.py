"""What came of a fine-tuning, in a sentence for logs and people."""

from typing import Any

from model.metrics import ENOUGH

DEPTH_NAMES = {"last": "last stage", "all": "whole network"}


def describe_finetuned(result: dict[str, Any]) -> str:
    """What came of a fine-tuning, in one sentence."""
    what = f"ResNet50's {DEPTH_NAMES[result['depth']]} retrained on {result['labels']} labels"
    if result["probability"] is None:
        return f"{what}: not used, no random slot is left to judge it on; kept as {result['version']}"
    low, high = (100 * value for value in result["interval"])
    judged = (
        f"{what}: macro F1 {result['new']:.3f} against {result['live']:.3f} on {result['n']} images that it has not seen "
        f"({low:+.1f} to {high:+.1f} points, 95 %), better with probability {result['probability']:.2f}"
    )
    if result["promoted"]:
        return f"{judged}: promoted"
    few = f", too few yet (promotions need {ENOUGH})" if result.get("effective", result["n"]) < ENOUGH else ""
    return f"{judged}: not used{few}, kept as {result['version']}"
