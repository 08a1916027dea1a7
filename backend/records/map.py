"""A project's map as it is kept: where each image lies in two dimensions, and what the live version takes it for.

One of the project's documents. It can be lost: the map is drawn again then, and looks another way.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model.heads.principal import Principal
from model.storage.documents import Documents

log = logging.getLogger(__name__)
FILE = "map.safetensors"
ARRAYS = ("tasks", "keys", "places", "guesses", "confidences", "mean", "components")


@dataclass(frozen=True)
class Map:
    """n images. tasks, keys: int64 (n,), in the order of tasks; places: float32 (n, 2); guesses: int16 (n,), the most
    probable of `classes`, -1 where no head can tell; confidences: float32 (n,), its probability.

    backbone: whose embeddings these are; version: which head guessed; drawn: images there were when the layout was computed;
    principal: the components that it was computed in.
    """

    tasks: NDArray[np.int64]
    keys: NDArray[np.int64]
    places: NDArray[np.float32]
    guesses: NDArray[np.int16]
    confidences: NDArray[np.float32]
    principal: Principal
    backbone: str
    version: str
    classes: list[str]
    drawn: int

    def write(self, documents: Documents) -> None:
        """Keep it among the project's `documents`, whole or not at all."""
        tensors: dict[str, NDArray] = {name: getattr(self, name) for name in ARRAYS[:5]}
        tensors |= {"mean": self.principal.mean, "components": self.principal.components}
        tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        names = {"backbone": self.backbone, "version": self.version, "drawn": self.drawn, "classes": self.classes}
        documents.write(FILE, save(tensors, {"map": json.dumps(names)}))


def read_map(documents: Documents) -> Map | None:
    """The map among the project's `documents`; None before it is drawn, and where it is damaged."""
    content = documents.read(FILE)
    if content is None:
        return None
    try:
        found, names = load(content), json.loads(_header(content)["map"])
        values: dict[str, Any] = {name: found[name] for name in ARRAYS[:5]}
        return Map(principal=Principal(found["mean"], found["components"]), **values, **names)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        log.warning("%s cannot be read (%s): the map is drawn again when it is asked for", documents.place(FILE), error)
        return None


def has_map(documents: Documents) -> bool:
    """Whether somebody has had a map drawn that can be read: told by its header alone."""
    content = documents.read(FILE) or b""
    try:
        return "map" in _header(content)
    except (KeyError, TypeError, ValueError):
        return False


def forget_map(documents: Documents) -> None:
    """Remove the map."""
    documents.remove(FILE)


def _header(content: bytes) -> dict[str, str]:
    """What safetensors' header says beside its tensors: eight bytes of its length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length])["__metadata__"])
