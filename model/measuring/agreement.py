"""How far people agree who chose classes for the same images: Krippendorff's alpha for nominal values.

K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011). 1 is perfect agreement, 0 is what chance gives; units may
have any number of answers, and those with one tell nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
DRAWS = 1000  # of the bootstrap
Z = 1.959964  # of the normal distribution, for 95 %


@dataclass(frozen=True)
class Alpha:
    """value: Krippendorff's alpha; interval: 95 %, by a bootstrap over the `units` that have two answers or more."""

    value: float
    interval: tuple[float, float]
    units: int


def krippendorff(counts: Counts, seed: int = 0) -> Alpha | None:
    """Alpha of `counts`, how many people gave each class to each unit, int64 (U, C). None where it is not defined: no unit has
    two answers, or all answers are one class."""
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return None
    kinds, times = np.unique(counts, axis=0, return_counts=True)  # units that are alike are drawn together: far fewer numbers
    people = kinds.sum(axis=1)
    disagreements = (people**2 - (kinds**2).sum(axis=1)) / (people - 1)
    (value,) = _alpha(times[None].astype(float), kinds, disagreements)
    if np.isnan(value):
        return None
    drawn = np.random.default_rng(seed).multinomial(len(counts), times / len(counts), DRAWS)
    low, high = np.nanquantile(_alpha(drawn.astype(float), kinds, disagreements), (0.025, 0.975))
    return Alpha(float(value), (float(low), float(high)), len(counts))


def _alpha(weights: Floats, counts: Counts, disagreements: Floats) -> Floats:
    """Alpha of B samples with `weights[b, u]` units like u each, float64 (B,); NaN where all answers are one class."""
    by_class = weights @ counts
    total = by_class.sum(axis=1)
    expected = (total**2 - (by_class**2).sum(axis=1)) / (total - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - weights @ disagreements / expected, np.nan)


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `hits` of `n` >= 1 are known (Wilson 1927)."""
    share, shrink = hits / n, 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / shrink
    reach = Z / shrink * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))
