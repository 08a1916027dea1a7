"""The ids of tasks, as far as they can be used: Label Studio is not the only one who writes its lists."""

from typing import Any

from backend.labelstudio.task_data import kind_of, quoted

LONGEST_ID = 2**63  # what SQLite and the arrays of task ids can hold


def task_id(task: Any) -> int | None:
    """The id of a task as Label Studio lists it, None where it has none that can be used."""
    found = task.get("id") if isinstance(task, dict) else None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    usable = isinstance(found, int) and not isinstance(found, bool) and 0 <= found < LONGEST_ID
    return found if usable else None


def name_of(task: Any) -> str:
    """The id of a task whose id cannot be used, as far as it can be shown."""
    found = task.get("id") if isinstance(task, dict) else None
    return quoted(found) if isinstance(found, str) else kind_of(found)
