"""Which tasks came or went without a change that tells of it, as deleted ones do: found by counting.

Label Studio takes a minute and more to list the ids of 100,000 tasks, and a fraction of a second to count them. So ranges of
ids whose numbers of tasks differ are halved, until the few tasks that they hold are read anew.
"""

from backend.index.index import Index
from backend.index.listed import task_id
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.labelling_config import Target
from backend.labelstudio.pages import PAGE


def recount(index: Index, label_studio: LabelStudio, project: int, target: Target) -> None:
    """Take into `index` the tasks of `project` that it lacks, and forget those that are gone. Raises LabelStudioError,
    IndexUnavailable."""
    ends = [number for task in label_studio.outermost_tasks(project) if (number := task_id(task)) is not None]
    if not ends:
        return index.keep_only([])
    index.keep_only([], last=min(ends) - 1)
    index.keep_only([], first=max(ends) + 1)
    waiting = [(min(ends), max(ends))]
    while waiting:
        first, last = waiting.pop()
        known, there = index.count(first, last), label_studio.count_between(project, first, last)
        if known == there:
            continue
        if min(known, there) == 0 or max(known, there) <= PAGE:
            _read_anew(index, label_studio, project, target, first, last)
        else:
            middle = (first + last) // 2
            waiting += [(middle + 1, last), (first, middle)]
    return None


def _read_anew(index: Index, label_studio: LabelStudio, project: int, target: Target, first: int, last: int) -> None:
    """Let `index` know the tasks of ids from `first` to `last` that are there, and no others of these."""
    lost: dict[int, str] = {}
    there: set[int] = set()
    for page in label_studio.tasks_between(project, first, last, lost):
        index.update(page, target)
        there |= {number for task in page if (number := task_id(task)) is not None}
    index.set_unlistable(lost)
    index.keep_only(there | lost.keys(), first, last)
