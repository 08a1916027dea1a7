"""What the Data Manager is asked for: which of a project's tasks, in the order of their ids."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

Query = dict[str, Any]

EVERY: Query = {"ordering": ["tasks:id"]}


def changed_since(moment: str, overlap: timedelta) -> Query:
    """Those changed after `moment` (an `updated_at`), or up to `overlap` before."""
    value = (datetime.fromisoformat(moment) - overlap).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _where("filter:tasks:updated_at", "greater", "Datetime", value)


def named(tasks: Sequence[int]) -> Query:
    """Those of these ids."""
    return _where("filter:tasks:id", "in_list", "Number", list(tasks))


def between(first: int, last: int) -> Query:
    """Those whose ids lie from `first` to `last`."""
    return _where("filter:tasks:id", "in", "Number", {"min": first, "max": last})


def with_predictions_of(versions: Sequence[str]) -> Query:
    """Those that have predictions of any of `versions`, or of one whose name holds one of theirs."""
    return _where("filter:tasks:predictions_model_versions", "contains", "String", list(versions))


def _where(name: str, operator: str, kind: str, value: Any) -> Query:
    item = {"filter": name, "operator": operator, "type": kind, "value": value}
    return EVERY | {"filters": {"conjunction": "and", "items": [item]}}
