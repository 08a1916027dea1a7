"""A project's random sample between two rounds: what `backend/learning/random_sample.py` leaves to whoever calls to keep."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.learning.random_sample import RandomSample, random_sample, strata_from
from model.files import read_json, write_json

Bools = NDArray[np.bool_]


class KeptSample:
    """The random sample whose strata are kept in the file `path`: without them, tasks imported later would break it once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def draw(
        self, tasks: NDArray[np.int64], labelled: Bools, left: Bools, accepted: Bools | None = None, *, share: float
    ) -> RandomSample:
        """The random sample of `tasks`; see `random_sample` for the arguments."""
        kept = read_json(self._path)
        sample = random_sample(tasks, labelled, left, share, strata_from(kept), accepted)
        strata = [asdict(stratum) for stratum in sample.strata]
        if strata != kept:
            write_json(self._path, strata)
        return sample

    def clear(self) -> None:
        """Forget the strata."""
        self._path.unlink(missing_ok=True)
