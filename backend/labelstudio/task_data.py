"""Values in a task's data, which may be any JSON: what a labelling config's `$meta.image` or `$pages[0].url` points at."""

import re
from typing import Any

STEP = re.compile(r"[^.\[\]]+")
SHORT = 60  # characters of a value that are shown
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


class TaskDataError(ValueError):
    """A task whose data hold no image's address where the labelling config looks for one; the message says what is there."""


def look_up(data: Any, path: str) -> Any:
    """The value at `path` in `data`, None where there is none; a key that is spelt like the whole path comes first.

    This is how Label Studio's editor reads it: "pages[0].url" and "pages.0.url" are the same.
    """
    if not isinstance(data, dict):
        return None
    if path in data:
        return data[path]
    value: Any = data
    for step in STEP.findall(path):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def quoted(text: str) -> str:
    """`text` as it can be shown anywhere: in quotes, cut where it is long, with nothing in it that cannot be encoded."""
    return repr(text if len(text) <= SHORT else text[: SHORT - 3] + "...")


def kind_of(value: Any) -> str:
    """What kind of JSON value it is, in words."""
    return "nothing" if value is None else KINDS.get(type(value), type(value).__name__)
