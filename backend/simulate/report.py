"""What a simulation leaves for people and programs: a table, JSON, CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.simulate.curves import Curve
from backend.simulate.protocol import BASELINE, Protocol
from backend.simulate.statistics import Curves, Estimate, Summary, summarise

Results = Mapping[str, Sequence[Curve]]  # by the name of the method, one curve a seed


def labels_of(results: Results) -> list[int]:
    """The numbers of labels at which all curves are judged."""
    return results[BASELINE][0].labels


def f1_of(curves: Sequence[Curve]) -> Curves:
    """Macro F1 of shape (seeds, points)."""
    return np.array([curve.macro_f1 for curve in curves])


def summaries(results: Results) -> dict[str, Summary]:
    """Each method against the baseline."""
    baseline = f1_of(results[BASELINE])
    return {name: summarise(labels_of(results), f1_of(curves), baseline) for name, curves in results.items()}


def as_json(results: Results, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """All figures, for programs. `ci95` is that of `labels_saved_ratio`."""
    named = summaries(results)
    return {
        "labels": labels_of(results),
        "protocol": dict(protocol),
        "strategies": {name: _figures(results[name], summary) for name, summary in named.items()},
    }


def as_csv(results: Results, seeds: Sequence[int]) -> str:
    """One line for each point of each curve."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(["strategy", "seed", "labels", "macro_f1", "ece"])
    for name, curves in results.items():
        for seed, curve in zip(seeds, curves, strict=True):
            for point in zip(curve.labels, curve.macro_f1, curve.ece, strict=True):
                lines.writerow([name, seed, *point])
    return buffer.getvalue()


def as_table(results: Results, protocol: Protocol) -> str:
    """The specification's table with what it lacks: intervals, area under the curve, labels saved. In Markdown."""
    labels = labels_of(results)
    head = ["sampling method", "sample size", "F1", "lift", "F1 against random"]
    if not protocol.one_shot:
        head += ["AUBC", "AUBC against random", "labels for random's F1", "ratio"]
    base = f1_of(results[BASELINE])[:, 0].mean()
    rows = [head, ["base model", str(labels[0]), f"{base:.3f}", *[""] * (len(head) - 3)]]
    for name, summary in summaries(results).items():
        row = [name, f"{labels[0]} + {labels[-1] - labels[0]}", as_value(summary.f1), f"{100 * summary.lift:+.1f}"]
        row.append("" if name == BASELINE else as_points(summary.f1_difference))
        if not protocol.one_shot:
            row += [f"{summary.aubc.mean:.3f}", "" if name == BASELINE else as_points(summary.aubc_difference)]
            row += [_needed(summary, labels), _ratio(summary)]
        rows.append(row)
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up, the first row its head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _figures(curves: Sequence[Curve], summary: Summary) -> dict[str, Any]:
    return {
        "macro_f1": [curve.macro_f1 for curve in curves],
        "ece": [curve.ece for curve in curves],
        "aubc": summary.aubc.mean,
        "labels_needed": summary.needed,
        "labels_saved_ratio": summary.ratio,
        "ci95": list(summary.interval),
        "lift": summary.lift,
        "final_macro_f1": _estimate(summary.f1),
        "final_macro_f1_difference": _estimate(summary.f1_difference),
        "aubc_difference": _estimate(summary.aubc_difference),
    }


def _estimate(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "ci95": list(value.interval) if value.interval else [None, None]}


def as_value(value: Estimate) -> str:
    """A mean and half the width of its interval."""
    return f"{value.mean:.3f}" + (f" +- {value.interval[1] - value.mean:.3f}" if value.interval else "")


def as_points(value: Estimate) -> str:
    """A difference in points of F1 with its interval."""
    low_high = f" ({100 * value.interval[0]:+.1f} to {100 * value.interval[1]:+.1f})" if value.interval else ""
    return f"{100 * value.mean:+.1f}{low_high}"


def _needed(summary: Summary, labels: Sequence[int]) -> str:
    if summary.needed is None:
        return f"more than {labels[-1]}"
    return ("at most " if summary.needed == labels[0] else "") + f"{summary.needed:.0f}"


def _ratio(summary: Summary) -> str:
    """Labels of random at the end over those needed, with the interval as far as the run can tell."""
    low, high = ("under 1" if end is None else f"{end:.2f}" for end in summary.interval)
    known = f" ({low} to {high})" if any(end is not None for end in summary.interval) else ""
    return ("under 1" if summary.ratio is None else f"{summary.ratio:.2f}") + known
