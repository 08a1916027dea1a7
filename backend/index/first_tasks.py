"""The first tasks of a large project that is new here: enough for a queue, long before all tasks are read.

Label Studio takes a minute to list 100,000 tasks. Those that come first in the order of random slots need no list, since that
order follows from ids alone: it is enough to ask which of its first ids, between the project's lowest and highest, are there. A
list of all would put the same tasks first, so a random sample that begins with them stays what it is once all are read.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.index.index import Index
from backend.index.listed import task_id
from backend.index.moments import SYNCED_TO
from backend.index.sync import follow_target
from backend.labelstudio.client import TOGETHER, LabelStudio
from backend.labelstudio.labelling_config import Target
from backend.learning.slots import slot_order

MANY = 5_000  # tasks; fewer are read at once
DENSE = 0.1  # share of the ids that are the project's; where it is less, too many would be asked for in vain
BEGUN = "first_tasks"  # the note of an index that has only these


def sync_first(
    index: Index,
    label_studio: LabelStudio,
    info: dict[str, Any],
    target: Target,
    live: str,
    wanted: int,
    progress: Callable[..., None],
) -> bool:
    """Take about the first `wanted` tasks into `index`, with the labels they have by now. Returns whether these will do.

    Where not, nothing was read: where all tasks have been read before, are few, or too far between; and where labels that are
    not among these tasks would be missed, since the project has a version, `live`, or labels before this begins. info: the
    project as Label Studio gives it. Raises LabelStudioError, IndexUnavailable.
    """
    follow_target(index, target)
    new = not live and info.get("total_annotations_number") == 0
    if index.note(SYNCED_TO) or info["task_number"] < MANY or not (new or index.note(BEGUN)):
        return False
    ends = [number for task in label_studio.outermost_tasks(info["id"]) if (number := task_id(task)) is not None]
    between = max(ends, default=0) - min(ends, default=0) + 1
    if not ends or info["task_number"] < DENSE * between:
        return False
    ids = _ids(min(ends), max(ends), wanted * between // info["task_number"])
    lost: dict[int, str] = {}
    for start in range(0, len(ids), TOGETHER):
        progress("reading tasks", start, len(ids))
        index.update(label_studio.tasks_named(info["id"], ids[start : start + TOGETHER], lost), target)
    index.set_unlistable(lost)
    index.set_note(BEGUN, "yes")
    return True


def _ids(lowest: int, highest: int, count: int) -> list[int]:
    """The first `count` ids in the order of random slots, and the highest: what has a higher one was imported later."""
    ids: NDArray[np.int64] = np.arange(lowest, highest + 1)
    first = ids[slot_order(ids)[:count]].tolist()
    return first if highest in first else [*first, highest]
