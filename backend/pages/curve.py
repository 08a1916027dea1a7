"""The learning curve as a drawing: where each line, label and tick of it stands. The template puts it into SVG."""

import math
from dataclasses import dataclass
from typing import Any

from backend.status.figures import bounds, figure

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 620, 12, 270  # the edges of what is drawn within the axes
TICKS = 6  # on an axis, at most


@dataclass(frozen=True)
class Bar:
    """An interval, from `low` to `high`, at x."""

    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """A drawing in SVG's coordinates. ticks: where, and what is written there; points: one for each figure, and what it says;
    band, line: as SVG wants them, "" where there are less than two; bars: intervals that are no band.

    expected: the next labels' point and its interval, None where they cannot be told; way: the line that leads there.
    """

    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    points: list[tuple[float, float, str]]
    line: str
    band: str
    bars: list[Bar]
    expected: tuple[float, float, Bar] | None
    way: str


def draw(versions: list[dict[str, Any]], live: dict[str, Any] | None) -> Curve | None:
    """The curve of `versions`, as `status` tells of them, and of what `live` expects of its next labels.

    A version without an interval that says something has no part in it, and one of which too little is known no point. None
    where there is nothing to draw.
    """
    shown = [version for version in by_labels(versions) if bounds(version)]
    if not shown:
        return None
    ahead = expected(live)
    heights = [height for version in shown for height in bounds(version) or ()] + (list(ahead[1:]) if ahead else [])
    floor, top = math.floor(10 * min(heights)) / 10, math.ceil(10 * max(heights)) / 10
    end = max([version["labels"] for version in shown] + ([ahead[0]] if ahead else [])) or 1

    def x(labels: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * labels / end, 1)

    def y(f1: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (f1 - floor) / max(top - floor, 0.1), 1)

    points = [
        (x(v["labels"]), y(value), f"{v['labels']} labels: {value:.3f}") for v in shown if (value := figure(v)) is not None
    ]
    ranges = [Bar(x(v["labels"]), y(low), y(high)) for v in shown for low, high in [bounds(v) or (0, 0)]]
    rim = [(bar.x, bar.high) for bar in ranges] + [(bar.x, bar.low) for bar in reversed(ranges)]
    return Curve(
        x_ticks=[(x(labels), f"{labels:g}") for labels in _ticks(0, end)],
        y_ticks=[(y(f1), f"{f1:.2f}") for f1 in _ticks(floor, max(top, floor + 0.1))],
        points=points,
        line=_path([point[:2] for point in points]),
        band=_path(rim) if len(ranges) > 1 else "",
        bars=ranges if len(ranges) == 1 else [],
        expected=(x(ahead[0]), y(ahead[1]), Bar(x(ahead[0]), y(ahead[2]), y(ahead[3]))) if ahead else None,
        way=_path([(x(live["labels"]), y(live["macro_f1"])), (x(ahead[0]), y(ahead[1]))]) if live and ahead else "",
    )


def by_labels(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last of `versions` with each number of labels, fewest first."""
    last = {version["labels"]: version for version in versions}
    return [last[labels] for labels in sorted(last)]


def expected(version: dict[str, Any] | None) -> tuple[int, float, float, float] | None:
    """How many labels there will be, the F1 expected of them and its interval; None where that cannot be told."""
    value = figure(version)
    if not version or value is None or not version["gain"]:
        return None
    gain = version["gain"]
    low, high = gain["interval"]
    f1, lowest, highest = (min(max(value + more, 0.0), 1.0) for more in (gain["macro_f1"], low, high))
    return version["labels"] + gain["labels"], f1, lowest, highest


def _path(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points) if len(points) > 1 else ""


def _ticks(start: float, end: float) -> list[float]:
    """Round numbers from `start` to `end`."""
    power = 10 ** math.floor(math.log10((end - start) / TICKS))
    step = next(size * power for size in (1, 2, 5, 10) if (end - start) / (size * power) <= TICKS)
    first = math.ceil(round(start / step, 6))
    return [round(number * step, 6) for number in range(first, math.floor(round(end / step, 6)) + 1)]
