"""A project's random sample between two rounds: what `backend/learning/random_sample.py` leaves to whoever calls to keep."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from backend.learning.random_sample import RandomSample, random_sample, strata_from
from model.storage.documents import Documents

FILE = "random_sample.json"
Bools = NDArray[np.bool_]


class KeptSample:
    """The random sample whose strata are kept among a project's `documents`: without them, tasks imported later would
    break it once."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def draw(
        self, tasks: NDArray[np.int64], labelled: Bools, left: Bools, accepted: Bools | None = None, *, share: float
    ) -> RandomSample:
        """The random sample of `tasks`; see `random_sample` for the arguments."""
        kept = self._documents.read_json(FILE)
        sample = random_sample(tasks, labelled, left, share, strata_from(kept), accepted)
        strata = [asdict(stratum) for stratum in sample.strata]
        if strata != kept:
            self._documents.write_json(FILE, strata)
        return sample

    def clear(self) -> None:
        """Forget the strata."""
        self._documents.remove(FILE)
