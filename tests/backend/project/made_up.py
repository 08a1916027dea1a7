"""Tasks and annotations as Label Studio lists them, and an index that a failing disk has damaged."""

import sqlite3

from backend.bench.label_studio import label_config
from backend.labelstudio.labelling_config import parse_label_config

TARGET = parse_label_config(label_config(["A", "B", "C"]))


def annotation(choice=None, **values):
    """An annotation as Label Studio lists it."""
    result = [] if choice is None else [{"from_name": "choice", "type": "choices", "value": {"choices": [choice]}}]
    return {"result": result, "was_cancelled": False, "ground_truth": False} | values


def task(number, *annotations, image="/a.jpg"):
    """A task as Label Studio lists it."""
    return {"id": number, "data": {"image": image}, "annotations": list(annotations)}


def damage(path):
    """Overwrite all but the first page, as a failing disk does."""
    held = sqlite3.connect(path)
    held.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    held.close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\x5a" * (path.stat().st_size - 100))
