"""A learning curve: the product's rounds, with the folder in the annotator's place, judged on the test images."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.random_sample import RandomSample, random_sample
from backend.learning.rounds import Labelled, Pool, Rules, rank
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Draw, Rows, draw
from backend.simulate.protocol import CEILING, QUEUE, Method, Protocol
from model.heads.head import Head, fit_head
from model.heads.learner import Learner
from model.heads.logistic import Labels
from model.measuring.metrics import calibration_error, macro_f1
from model.measuring.set_metrics import macro_f1_of_sets, predicted_sets, set_calibration_error


@dataclass(frozen=True)
class Curve:
    """labels: given at each of r points; macro_f1, ece (expected calibration error): on the test images then, if there are any;
    picked: rows of `Dataset` in the order in which they were labelled."""

    labels: list[int]
    macro_f1: list[float]
    ece: list[float]
    picked: list[int]

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


def head_of(name: str, labelled: Labelled, pool: Pool, classes: int, seed: int) -> Head | None:
    """The head `name`, of HEADS, on the labels so far; None without any."""
    if not len(labelled.labels):
        return None
    taught_by = None if name == "plain" else pool.embeddings
    return fit_head(Learner(labelled.embeddings, labelled.labels, classes, taught_by, seed), labelled.unseen)


def run_curve(
    images: Dataset, protocol: Protocol, method: Method, seed: int, report: Callable[[], None] = lambda: None
) -> Curve:
    """Label the pool that `seed` draws by `method`, round after round. `report` is called after each point of the curve.

    CEILING has a single point, with every label of the pool.
    """
    drawn = draw(images, protocol, seed)
    if method == CEILING:
        picked, grid = drawn.pool, [len(drawn.pool)]
    else:
        picked = np.zeros(0, np.int64) if method.cold else drawn.start
        grid = protocol.grid(len(drawn.pool))
    curve = Curve(grid, [], [], [])
    sample: RandomSample | None = None
    while True:
        sample = sample_of(drawn, picked, method.explore, sample)
        labelled, pool = state(images, drawn, picked, sample)
        head = head_of(method.head, labelled, pool, len(images.classes), seed)
        if head and len(picked) in grid:
            if len(drawn.test):
                probabilities = head.probabilities(images.embeddings[drawn.test].astype(np.float32))
                f1, ece = _judged(probabilities, images.labels[drawn.test], len(images.classes))
                curve.macro_f1.append(f1)
                curve.ece.append(ece)
            report()
        due = [labels for labels in grid if labels > len(picked)]
        if not due:
            break
        size = min(protocol.batch, due[0] - len(picked))  # less than a batch on a cold start's way to the first point
        version = f"al-{len(picked)}-{seed}"
        queue = rank(head, pool, labelled, rules(protocol, method, len(pool.tasks)), version)
        picked = np.concatenate([picked, drawn.rows(queue.tasks[:size])])
    curve.picked.extend(picked.tolist())
    return curve


def _judged(probabilities: NDArray[np.float32], truth: Labels, classes: int) -> tuple[float, float]:
    """Macro F1 and expected calibration error."""
    if truth.ndim > 1:
        return macro_f1_of_sets(predicted_sets(probabilities), truth), set_calibration_error(probabilities, truth)
    return macro_f1(probabilities.argmax(axis=1), truth, classes), calibration_error(probabilities, truth)


def sample_of(drawn: Draw, picked: Rows, explore: float, before: RandomSample | None = None) -> RandomSample:
    """The random sample of the pool once the rows `picked` are labelled, and what it was in the round before."""
    done = np.isin(drawn.pool, picked)
    return random_sample(drawn.tasks[drawn.pool], done, np.zeros(len(done), bool), explore, before.strata if before else ())


def state(images: Dataset, drawn: Draw, picked: Rows, sample: RandomSample) -> tuple[Labelled, Pool]:
    """What a round of the product would see once the rows `picked` are labelled. `sample` is that of `drawn.pool`."""
    tasks = drawn.tasks[drawn.pool]
    done = np.isin(drawn.pool, picked)
    at = np.searchsorted(tasks, drawn.tasks[picked])
    labelled = Labelled(
        drawn.tasks[picked],
        images.labels[picked],
        images.embeddings[picked].astype(np.float32),
        sample.weights[at],
        np.ones(len(picked), bool),
        sample.unjudged,
    )
    return labelled, Pool(tasks[~done], images.embeddings[drawn.pool[~done]], sample.turns[~done])


def rules(protocol: Protocol, method: Method, pool: int) -> Rules:
    """How the queue of a round is drawn from a pool of `pool` images."""
    size = protocol.batch if protocol.one_shot else QUEUE * protocol.batch
    return Rules(method.strategy, min(size, pool), method.explore, protocol.batch)
