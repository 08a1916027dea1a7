"""When to stop: F1, what more labels would bring, what `accept` would take, and how many hours are left, in a sentence."""

from typing import Any

from backend.status.accepting import images, percent
from backend.status.figures import f1, live_version, outlook

MORE = 50  # labels ahead, as far as gains are told
MINUTE, HOUR = 60, 3600


def stopping_text(p: dict[str, Any]) -> str:
    """What there is to decide by, of a project's values in `status`; "" before the first version."""
    live = live_version(p)
    if not live or "labels" not in live:
        return ""
    left = p["tasks"]["unlabelled"]
    if not left:
        return f"nothing is left to label; macro F1 {f1(live)}"
    gain = outlook(live)
    said = [f"macro F1 {f1(live)}"]
    said.append(f"the next {gain.labels} labels: {gain.text}" if gain.labels else f"what more labels bring: {gain.text}")
    text, taken = _accepting(p, live)
    said.append(text)
    if p["pace"]:
        said.append(_hands(left, taken, p["pace"]))
    return "; ".join(said)


def _accepting(p: dict[str, Any], live: dict[str, Any]) -> tuple[str, int]:
    """What `accept` would take now and after MORE labels, and how many images that is now."""
    checks, foreseen = p["accepting"]["checks"], live.get("acceptable")
    if checks:
        error, now, step = checks["error"], checks["now"], checks["step"]
    else:
        error, now, step = (foreseen or {}).get("error"), 0, foreseen
    if error is None:
        return f"`accept` would take no image now, nor after {MORE} more labels", 0
    after = max(now, step["images"] if step and step["checks"] <= MORE else 0)
    text = f"at {percent(error)} wrong `accept` would take {images(now) if now else 'none'} now"
    text += f" and {images(after) if after else 'none'} after {MORE} more labels"
    if step and step["checks"] > MORE:
        text += f", {images(step['images'])} after about {step['checks']} checks"
    return text, now


def _hands(left: int, taken: int, pace: float) -> str:
    """How long people would label what is left, at `pace` seconds an image."""
    text = f"by hand the {images(left)} left take about {_time(left * pace)} at {pace:.1f} s each"
    return f"{text}, {_time((left - taken) * pace)} once those are accepted" if taken else text


def _time(seconds: float) -> str:
    if seconds < 1.5 * HOUR:
        return f"{max(round(seconds / MINUTE), 1)} min"
    return f"{seconds / HOUR:.1f} hours"
