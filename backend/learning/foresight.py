"""What checks of a head would allow it to label itself, foreseen from its confidences alone."""

from typing import Any

import numpy as np

from backend.learning.promise import ERROR, NOTHING, Population, candidates, decide
from backend.learning.rounds import Pool
from model.heads.head import Head

READ = 10_000  # images of the pool that are looked at; of more than that a random part stands for all


def foresee(head: Head | None, pool: Pool, error: float = ERROR, seed: int = 0) -> dict[str, Any] | None:
    """About how many `checks` would allow about how many `images` of the pool, at most a share `error` of them wrong.

    None where no number of checks would, or where an image may be of several classes."""
    if head is None or not head.separates or head.independent:
        return None
    pool = pool.only(pool.to_pick)
    size = len(pool.tasks)
    rows = np.arange(size) if size <= READ else np.random.default_rng(seed).choice(size, READ, replace=False)
    probabilities = head.probabilities(pool.embeddings[rows])
    population = Population(pool.tasks[rows], probabilities.argmax(axis=1), probabilities.max(axis=1))
    plan = decide(candidates(population, error), NOTHING, error=error).plan
    if not plan:
        return None
    return {"error": error, "checks": plan[0].checks, "images": round(plan[0].images * size / len(rows))}
