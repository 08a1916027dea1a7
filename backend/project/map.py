"""A project's map as it is kept: where each image lies in two dimensions, and what the live version takes it for.

One small file in the project's folder. It can be lost: the map is drawn again then, and looks another way.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from model.files import write_atomically
from model.principal import Principal

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

    def write(self, folder: Path) -> None:
        """Keep it in the project's `folder`, whole or not at all."""
        tensors: dict[str, NDArray] = {name: getattr(self, name) for name in ARRAYS[:5]}
        tensors |= {"mean": self.principal.mean, "components": self.principal.components}
        tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        names = {"backbone": self.backbone, "version": self.version, "drawn": self.drawn, "classes": self.classes}
        write_atomically(folder / FILE, lambda beside: save_file(tensors, beside, {"map": json.dumps(names)}))


def read_map(folder: Path) -> Map | None:
    """The map in the project's `folder`; None before it is drawn, and where its file is damaged."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as opened:
            values = {name: opened.get_tensor(name) for name in ARRAYS}
            names = json.loads(opened.metadata()["map"])
        principal = Principal(values.pop("mean"), values.pop("components"))
        return Map(principal=principal, **values, **names)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        log.warning("%s cannot be read (%s): the map is drawn again when it is asked for", path, error)
        return None


def has_map(folder: Path) -> bool:
    """Whether somebody has had a map drawn that can be read: told by its header alone."""
    try:
        with safe_open(folder / FILE, framework="numpy") as opened:
            return "map" in (opened.metadata() or {})
    except (SafetensorError, OSError):
        return False


def forget_map(folder: Path) -> None:
    """Remove the map."""
    (folder / FILE).unlink(missing_ok=True)
