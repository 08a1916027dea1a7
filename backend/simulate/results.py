"""The curves of one network, and what they say against the two baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from backend.simulate.curves import Curve
from backend.simulate.protocol import BASELINE, STANDARD
from backend.simulate.statistics import Curves, Estimate, Summary, estimate, summarise


@dataclass(frozen=True)
class Results:
    """Curves of one network, in each list one a seed.

    curves: by the name of their method, BASELINE always and STANDARD unless it was left out; ceiling: of a single point, the
    head that learned every label of the pool.
    """

    curves: Mapping[str, Sequence[Curve]]
    ceiling: Sequence[Curve]

    @property
    def labels(self) -> list[int]:
        """The numbers of labels at which all curves are judged."""
        return self.curves[BASELINE][0].labels

    @property
    def baselines(self) -> list[str]:
        """What methods are compared with: BASELINE, and STANDARD where it was run."""
        return [name for name in (BASELINE, STANDARD) if name in self.curves]

    def f1(self, name: str) -> Curves:
        """Macro F1 of the method `name`, of shape (seeds, points)."""
        return np.array([curve.macro_f1 for curve in self.curves[name]])

    def summaries(self, baseline: str) -> dict[str, Summary]:
        """Each method against the method `baseline`."""
        return {name: summarise(self.labels, self.f1(name), self.f1(baseline)) for name in self.curves}

    def ceiling_f1(self) -> Estimate:
        """Macro F1 of the head that learned every label of the pool."""
        return estimate(np.array([curve.macro_f1[-1] for curve in self.ceiling]))
