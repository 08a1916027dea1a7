"""What curves say: area under the curve, labels saved against random, and intervals over paired seeds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

DRAWS = 4000  # of the bootstrap
CENTRAL = (0.025, 0.975)

Curves = NDArray[np.float64]  # (seeds, points)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval by Student's t; none with a single seed."""

    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Summary:
    """A sampling method in figures. Differences are paired, seed by seed, to the baseline's curve.

    f1: at the end; lift: that above the baseline's start; aubc: mean macro F1 over the range of labels;
    needed: labels for the mean F1 that the baseline has at the end, None where that is not reached within the run;
    ratio: the labels the baseline has at the end over `needed`; interval: its 95 % range, None at an end that is not known.
    """

    f1: Estimate
    lift: float
    f1_difference: Estimate
    aubc: Estimate
    aubc_difference: Estimate
    needed: float | None
    ratio: float | None
    interval: tuple[float | None, float | None]


def summarise(labels: list[int], curves: Curves, baseline: Curves) -> Summary:
    """Compare `curves`, macro F1 of shape (seeds, points), with the `baseline`'s at the same `labels`, seed by seed."""
    areas, base_areas = (area(labels, values) for values in (curves, baseline))
    needed, ratio = _saved(labels, curves, baseline)
    return Summary(
        f1=estimate(curves[:, -1]),
        lift=float(curves[:, -1].mean() - baseline[:, 0].mean()),
        f1_difference=estimate(curves[:, -1] - baseline[:, -1]),
        aubc=estimate(areas),
        aubc_difference=estimate(areas - base_areas),
        needed=needed,
        ratio=ratio,
        interval=ratio_interval(labels, curves, baseline),
    )


def area(labels: list[int], curves: Curves) -> NDArray[np.float64]:
    """The area under each budget curve (AUBC; Zhan 2106.15324): by trapezoids, over the width, float64 of shape (seeds,)."""
    if len(labels) == 1:
        return curves[:, 0]
    widths = np.diff(labels)
    return (curves[:, 1:] + curves[:, :-1]) @ widths / (2 * widths.sum())


def labels_needed(labels: list[int], curve: NDArray[np.float64], target: float) -> float | None:
    """The labels at which `curve`, of shape (points,), first reaches `target`, linear between points; None where it never does.

    A curve that begins above it needs the labels of its first point, at most.
    """
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return None
    at = int(reached[0])
    if at == 0:
        return float(labels[0])
    share = (target - curve[at - 1]) / (curve[at] - curve[at - 1])
    return float(labels[at - 1] + share * (labels[at] - labels[at - 1]))


def ratio_interval(labels: list[int], curves: Curves, baseline: Curves, seed: int = 0) -> tuple[float | None, float | None]:
    """The central 95 % range of the ratio of labels, by a percentile bootstrap over paired seeds (Efron & Tibshirani 1993).

    Where a draw never reaches the baseline's end, its ratio is below what the run can tell: an end of the range that falls
    among those is None. So are both with a single seed.
    """
    if len(curves) < 2:
        return None, None
    random = np.random.default_rng(seed)
    ratios = []
    for chosen in random.integers(len(curves), size=(DRAWS, len(curves))):
        ratio = _saved(labels, curves[chosen], baseline[chosen])[1]
        ratios.append(-np.inf if ratio is None else ratio)
    low, high = np.quantile(ratios, CENTRAL, method="nearest")
    return tuple(float(value) if np.isfinite(value) else None for value in (low, high))  # type: ignore[return-value]


def estimate(values: NDArray[np.float64]) -> Estimate:
    """The mean of one value a seed, of shape (seeds,), with its interval."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, None)
    half = float(student.ppf(CENTRAL[1], len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Estimate(mean, (mean - half, mean + half))


def _saved(labels: list[int], curves: Curves, baseline: Curves) -> tuple[float | None, float | None]:
    """Labels needed for the baseline's mean F1 at the end, and its labels over those."""
    target = baseline.mean(axis=0)[-1]  # the same sum as the curve's: the baseline must not miss its own end by a rounding
    needed = labels_needed(labels, curves.mean(axis=0), target)
    return needed, (labels[-1] / needed if needed else None)
