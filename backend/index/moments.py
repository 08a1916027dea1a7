"""Moments as Label Studio writes them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

EARLY = timedelta(hours=1)  # that Label Studio's clock may be ahead of ours
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)  # before there was any Label Studio
SYNCED_TO = "synced_to"  # the note of how far an index got that has all tasks


def newest_change(tasks: Iterable[Any], newest: str, now: datetime | None = None) -> str:
    """The latest `updated_at` of `tasks` and `newest`, ISO 8601, "" for none.

    One that is no moment, that lies in the future or before OLDEST counts for nothing: a future one would hide every change.
    """
    latest = (now or datetime.now(UTC)) + EARLY
    best = moment_of(newest)
    best = best if best and best >= OLDEST else None
    for task in tasks:
        moment = moment_of(task.get("updated_at") if isinstance(task, dict) else None)
        if moment and OLDEST <= moment <= latest and (best is None or moment > best):
            best, newest = moment, task["updated_at"]
    return newest if best else ""


def moment_of(text: Any) -> datetime | None:
    """The moment that `text` names in ISO 8601, None where it names none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
