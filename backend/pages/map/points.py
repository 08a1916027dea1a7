"""What the browser draws the map from: a few arrays in one binary answer, so that 100,000 images take a second."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.index.index import LABELLED, UNLABELLED, Index
from backend.labelstudio.several import shown
from backend.records.map import Map

NOBODY = 255  # the certainty of an image whose guess is not told
NOWHERE = -1  # what has no label, no guess or no place
ALL = 2**31  # more than any queue holds
ALIGNED = 8  # bytes: an array of the browser's begins at a multiple of its numbers' size
TYPES = {
    "float64": "Float64Array",
    "float32": "Float32Array",
    "int32": "Int32Array",
    "int16": "Int16Array",
    "uint8": "Uint8Array",
}


def points(drawn: Map, index: Index, live: str, several: bool = False) -> bytes:
    """The images of the map that are still in the project: tasks, x, y, labels and guesses (numbers of `names`), certainty in
    percent, place in the queue of `live` (0 for the next), and whether each is without a label. several: whether labels are
    sets of classes.

    Of a random slot that nobody has labelled no guess is told, here as everywhere.
    """
    every, queue = index.tasks.arrays(), index.published.queue(live, ALL)
    at, there = _positions(every.tasks, drawn.tasks)
    at, tasks = at[there], drawn.tasks[there]
    numbers = {name: number for number, name in enumerate(drawn.classes)}
    labels = np.full(len(tasks), NOWHERE, np.int16)
    for position in np.flatnonzero(every.are(LABELLED)[at]).tolist():
        if label := every.labels[int(tasks[position])]:
            labels[position] = numbers.setdefault(shown(label, several), len(numbers))
    queued, is_queued = _positions(tasks, np.array([row.task for row, *_ in queue], np.int64))
    places, told = np.full(len(tasks), NOWHERE, np.int32), drawn.guesses[there] >= 0
    places[queued[is_queued]] = np.flatnonzero(is_queued)
    told[queued[is_queued & np.array([is_slot for *_, is_slot in queue], bool)]] = False
    arrays: dict[str, NDArray[Any]] = {
        "tasks": tasks.astype(np.float64),
        "x": drawn.places[there, 0],
        "y": drawn.places[there, 1],
        "places": places,
        "labels": labels,
        "guesses": np.where(told, drawn.guesses[there], NOWHERE).astype(np.int16),
        "certainty": np.where(told, np.rint(100 * drawn.confidences[there]), NOBODY).astype(np.uint8),
        "open": every.are(UNLABELLED)[at].astype(np.uint8),
    }
    return packed(arrays, {"images": len(tasks), "names": list(numbers)})


def _positions(among: NDArray[np.int64], tasks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each of `tasks` stands `among` others, which are in order, and whether it is there at all."""
    if not len(among):
        return np.zeros(len(tasks), np.int64), np.zeros(len(tasks), bool)
    at = np.searchsorted(among, tasks).clip(max=len(among) - 1)
    return at, among[at] == tasks


def packed(arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> bytes:
    """A header of JSON behind its length in four bytes, and the arrays in the order in which it names them, widest numbers
    first."""
    names: Sequence[tuple[str, str]] = [(name, TYPES[values.dtype.name]) for name, values in arrays.items()]
    header = json.dumps(about | {"arrays": names}).encode()
    header += b" " * (-(len(header) + 4) % ALIGNED)
    little = [np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes() for values in arrays.values()]
    return b"".join([struct.pack("<I", len(header)), header, *little])
