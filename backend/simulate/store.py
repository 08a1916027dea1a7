"""Finished curves on disk, each under a key of everything that determines it."""

import hashlib
import importlib.util
import json
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy
import sklearn

from backend.simulate.curves import Curve
from backend.simulate.dataset import Dataset
from backend.simulate.protocol import Method, Protocol
from model.storage.files import read_json, write_json

VERSION = 1  # raise it when results change by other code than that which CODE names
ROOT = Path(__file__).resolve().parent.parent.parent
CODE = (
    "strategies/**/*.py",
    "model/**/*.py",
    "backend/learning/*.py",
    *(f"backend/simulate/{name}.py" for name in ("protocol", "draw", "curves")),
)


@dataclass(frozen=True)
class Trial:
    """One curve to be had: a sampling method and a seed."""

    method: Method
    seed: int


class CurveStore:
    """Curves of one protocol on the same images, below `folder`. Other images, protocols or code have other files."""

    def __init__(self, folder: Path, images: Dataset, protocol: Protocol) -> None:
        self.folder = folder / digest(VERSION, images.digest, asdict(protocol))

    def path(self, trial: Trial) -> Path:
        """The file of a curve."""
        plain = re.sub(r"[^\w+-]", "_", trial.method.name)
        return self.folder / f"{plain}-{trial.seed}-{digest(asdict(trial.method), code_digest(trial.method.strategy))}.json"

    def get(self, trial: Trial) -> Curve | None:
        """The curve, if it is finished."""
        try:
            return Curve(**(read_json(self.path(trial)) or {}))
        except TypeError:
            return None

    def put(self, trial: Trial, curve: Curve) -> None:
        """Keep a finished curve."""
        write_json(self.path(trial), asdict(curve))


def digest(*about: object) -> str:
    """A short name of what can be written as JSON."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]


@lru_cache
def code_digest(strategy: str, *others: str) -> str:
    """Of the code that a curve of `strategy` depends on, a user's own `module:function` included as far as that module goes,
    and of `others`, patterns like those of CODE."""
    hashed = hashlib.sha256(" ".join(module.__version__ for module in (np, scipy, sklearn)).encode())
    files = sorted(path for pattern in (*CODE, *others) for path in ROOT.glob(pattern))
    if ":" in strategy:
        spec = importlib.util.find_spec(strategy.split(":")[0])
        files += [Path(spec.origin)] if spec and spec.origin else []
    for path in files:
        hashed.update(path.read_bytes())
    return hashed.hexdigest()
