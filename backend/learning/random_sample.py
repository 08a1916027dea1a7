"""The random sample: the tasks that F1, the learning curve and promotions are measured on, and what each of them stands for.

**Inclusion depends on a task's hash alone.** Tasks are grouped into strata, one for each import. Each stratum has a level,
and a task is *drawn* when its hash lies below the level of its stratum. Levels rise with the number of labels, never with
which tasks were labelled or how: of L labels EXPLORE x L are to be drawn ones. A strategy may label a drawn task before its
slot comes, or any other task: neither changes which tasks are drawn. The hashes of a stratum's tasks are independent and
uniform, so its drawn tasks are a simple random sample of it.

**Drawn tasks are labelled first.** Random slots take tasks in the order of their hashes (`slots.py`), so a drawn task that
is still open stands at the front of the queue. Those still open were picked by no strategy, so to leave them out would lean
towards what strategies pick. Therefore the sample of a stratum ends before the first open one of its order: that is inverse
sampling, whose shares are unbiased (Haldane 1945, Biometrika 33:222; with the level as an upper end too, since below it the
position of the first open task says nothing about the tasks before it but how many were picked). A few open ones are passed
over, as an annotator may keep a task for a day: sqrt(n) / 5 of n. To pass over g of n shifts a share p by at most p g / n,
that is by a fifth of its standard error sqrt(p (1 - p) / n) for p = 1/2, and by less for smaller ones.

**New tasks do not break it.** An import is a stratum of its own with level 0. Since slots are filled in the order of hashes
and the hashes below the older levels are used up, they go to the new stratum until its level has caught up. Two neighbours
become one stratum as soon as one level describes both and no drawn task of theirs is open, so that hourly imports of a few
tasks do not pile up. Each labelled task of the sample stands for N / m tasks, where N is the size of its stratum and m the
tasks of its sample: stratified estimation, unbiased for each cell of the confusion matrix (Cochran 1977, Sampling
Techniques, sec. 5.3; tasks that were skipped or cannot be read count in N and m and have no label: estimation for a domain,
sec. 2.11). A stratum is *judged*, that is part of what is measured, once that makes the sample worth no fewer images, or
leaves it worth TRUSTED.

**Accepted tasks** (`audit.py`), which the model has labelled, are drawn as all others are. Of the drawn ones AUDIT are asked
about, chosen by another hash, and each of these stands for 1 / AUDIT as many; the rest count as tasks without a label.

No Label Studio, no disk: the levels come in and go out, and whoever calls keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learning.audit import AUDIT, audited
from backend.learning.slots import SEED
from model.measuring.metrics import effective_size
from strategies.arrays.hashing import uniform_hash

PATIENCE = 0.2  # x sqrt(n): open drawn tasks that a sample of n passes over, and the most they shift a share in standard errors
TRUSTED = 100  # images: a sample worth so many is rather extended to more of the pool than made any surer of a part

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Stratum:
    """Tasks that were imported together: those with ids up to `last` and above the `last` of the stratum before. Those with a
    hash below `level` are drawn."""

    last: int
    level: float


@dataclass(frozen=True)
class RandomSample:
    """The random sample of N tasks.

    drawn: bool (N,), tasks whose hash lies below their stratum's level; turns: int64 (N,), how many tasks are drawn by the time
    that each of them is, those that will have no label not counted; weights: float64 (N,), how many tasks a labelled one of the
    sample stands for, 0 for all others; strata: to be given to the next call; unjudged: tasks in strata of which no labelled
    task speaks yet.
    """

    drawn: Bools
    turns: NDArray[np.int64]
    weights: NDArray[np.float64]
    strata: tuple[Stratum, ...]
    unjudged: int


def random_sample(
    tasks: NDArray[np.int64],
    labelled: Bools,
    left: Bools,
    share: float,
    strata: Sequence[Stratum] = (),
    accepted: Bools | None = None,
) -> RandomSample:
    """The random sample of all `tasks`, int64 (N,), of a project.

    labelled: bool (N,), tasks with a label; left: bool (N,), tasks that will have none: skipped, tied, unreadable. All others
    are open. share: of the labels that are to be drawn at random, in [0, 1]; strata: what the last call returned, none at
    first or where that is lost, when all tasks count as one import; accepted: bool (N,), tasks that bear a label accepted from
    the model, whether or not a person has labelled them since; None for none.
    """
    audits = np.zeros(len(tasks), bool) if accepted is None else accepted & audited(tasks)
    if accepted is not None:
        left, labelled = left | (accepted & ~audits), labelled & ~(accepted & ~audits)
    hashes = uniform_hash(tasks, SEED)
    strata = _with_new_tasks(strata, tasks, hashes)
    groups = np.searchsorted([stratum.last for stratum in strata], tasks)
    drawn = hashes < np.array([stratum.level for stratum in strata])[groups]
    order = np.argsort(hashes, kind="stable")
    room = int(np.floor(share * labelled.sum() + 1e-9)) - int((drawn & ~left).sum())
    drawn[_next(order[~drawn[order]], ~left, room)] = True
    opened = ~labelled & ~left
    if not opened.any():  # nothing is left to choose from
        drawn[:] = True
    strata = [Stratum(s.last, _level(hashes[(groups == i) & ~drawn])) for i, s in enumerate(strata)]
    strata = _merged(strata, groups, hashes, drawn, opened)
    weights, unjudged = _weights(tasks, hashes, labelled, opened, drawn, strata)
    weights[audits] /= AUDIT
    return RandomSample(drawn, _turns(hashes, drawn, left), weights, strata, unjudged)


def strata_from(content: Any) -> list[Stratum]:
    """Strata from what was written of them as JSON; none where it is something else."""
    try:
        strata = [Stratum(int(stratum["last"]), float(stratum["level"])) for stratum in content or []]
    except (TypeError, KeyError, ValueError, OverflowError):
        return []
    ordered = all(one.last < other.last for one, other in pairwise(strata))
    return strata if ordered and all(0 <= stratum.level <= 1 for stratum in strata) else []


def _with_new_tasks(strata: Sequence[Stratum], tasks: NDArray[np.int64], hashes: NDArray[np.float64]) -> list[Stratum]:
    """The strata with the tasks above the last one's `last` in a stratum of their own: in the last one where nothing of that is
    drawn yet."""
    known = list(strata)
    newest = int(tasks.max(initial=0))
    if known and newest <= known[-1].last:
        return known
    if known:
        before = known[-2].last if len(known) > 1 else -1
        youngest = (tasks > before) & (tasks <= known[-1].last)
        if not (hashes[youngest] < known[-1].level).any():
            known.pop()
    return [*known, Stratum(newest, 0.0)]


def _next(beyond: NDArray[np.int64], counted: Bools, room: int) -> NDArray[np.int64]:
    """The start of the order `beyond` that holds `room` of those that are `counted`, bool (N,)."""
    if room <= 0:
        return beyond[:0]
    return beyond[: np.searchsorted(np.cumsum(counted[beyond]), room) + 1]


def _level(hashes_left: NDArray[np.float64]) -> float:
    """As high as it can be without drawing another task; 1 where all are drawn."""
    return float(hashes_left.min(initial=1.0))


def _merged(
    strata: Sequence[Stratum], groups: NDArray[np.int64], hashes: NDArray[np.float64], drawn: Bools, opened: Bools
) -> tuple[Stratum, ...]:
    """Neighbours as one stratum wherever one level draws the same tasks of both, and none of those is open."""
    merged: list[tuple[Stratum, float]] = []  # each with the highest hash drawn from it
    for number, stratum in enumerate(strata):
        mine = drawn & (groups == number)
        highest = float(hashes[mine].max(initial=-1.0)) if not (mine & opened).any() else np.inf
        if merged:
            before, before_highest = merged[-1]
            level = min(before.level, stratum.level)
            if max(highest, before_highest) < level:
                merged[-1] = (Stratum(stratum.last, level), max(highest, before_highest))
                continue
        merged.append((stratum, highest))
    return tuple(stratum for stratum, _ in merged)


def _turns(hashes: NDArray[np.float64], drawn: Bools, left: Bools) -> NDArray[np.int64]:
    """The order of drawing: what is drawn already, then the others, both by hash."""
    order = np.lexsort((hashes, ~drawn))
    turns = np.empty(len(order), np.int64)
    turns[order] = np.cumsum(~left[order])
    return turns


def _weights(
    tasks: NDArray[np.int64],
    hashes: NDArray[np.float64],
    labelled: Bools,
    opened: Bools,
    drawn: Bools,
    strata: tuple[Stratum, ...],
) -> tuple[NDArray[np.float64], int]:
    """Weights of the tasks, after the sample of each stratum has been ended where it must be; and how many tasks are in strata
    that are not judged."""
    groups = np.searchsorted([stratum.last for stratum in strata], tasks)
    parts = []
    for number in range(len(strata)):
        mine = groups == number
        end = _end(hashes[mine & drawn & opened], int((mine & drawn & ~opened).sum()))
        sample = mine & drawn & ~opened & (hashes < end)
        if (sample & labelled).any():
            parts.append((mine.sum() / sample.sum(), sample & labelled, int(mine.sum())))
    weights = np.zeros(len(tasks))
    judged = 0
    for weight, sample, size in _worth_judging(parts):
        weights[sample] = weight
        judged += size
    return weights, len(tasks) - judged


def _end(hashes_open: NDArray[np.float64], done: int) -> float:
    """The hash at which a stratum's sample of at most `done` tasks ends: the first open one that is not passed over."""
    passed = int(PATIENCE * np.sqrt(done))
    return float(np.sort(hashes_open)[passed]) if len(hashes_open) > passed else np.inf


def _worth_judging(parts: list[tuple[float, Bools, int]]) -> list[tuple[float, Bools, int]]:
    """Of the strata, each with its weight, sample and size, the densest: as many as leave the sample worth as many images
    as any fewer of them, or TRUSTED."""
    parts = sorted(parts, key=lambda part: part[0])
    counts = [int(sample.sum()) for _, sample, _ in parts]
    worth = [effective_size(np.repeat([part[0] for part in parts[:k]], counts[:k])) for k in range(1, len(parts) + 1)]
    enough = min(TRUSTED, max(worth, default=0.0)) * (1 - 1e-9)
    return parts[: max((k for k, size in enumerate(worth, 1) if size >= enough), default=0)]
