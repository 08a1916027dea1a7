"""Figures as people read them: values, differences and ratios with their intervals, in tables of Markdown."""

from collections.abc import Sequence

from backend.simulate.statistics import Estimate, Summary


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up, the first row its head."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_value(value: Estimate) -> str:
    """A mean and half the width of its interval."""
    return f"{value.mean:.3f}" + (f" +- {value.interval[1] - value.mean:.3f}" if value.interval else "")


def as_points(value: Estimate) -> str:
    """A difference in points of F1 with its interval."""
    low_high = f" ({100 * value.interval[0]:+.1f} to {100 * value.interval[1]:+.1f})" if value.interval else ""
    return f"{100 * value.mean:+.1f}{low_high}"


def as_ratio(summary: Summary) -> str:
    """Labels of the baseline at the end over those needed, with the interval as far as the run can tell."""
    low, high = ("under 1" if end is None else f"{end:.2f}" for end in summary.interval)
    known = f" ({low} to {high})" if any(end is not None for end in summary.interval) else ""
    return ("under 1" if summary.ratio is None else f"{summary.ratio:.2f}") + known
