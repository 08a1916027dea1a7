"""What fine-tuning is worth: macro F1 on images never labelled, of the head alone, with the last stage and with all of ResNet50
retrained, on a folder of class sub-folders. `make finetuning IMAGES=DIR` runs it; stopped, it goes on where it was.
"""

import argparse
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from backend.promotion import STOP_SHARE
from backend.settings import get_settings
from backend.simulate.folder import images_by_class
from backend.terminal import ProgressLine
from model.backbone import backbone_name, load_backbone
from model.files import read_json, write_json
from model.finetune import RECIPES, Status, finetune
from model.head import fit_head
from model.inputs import PhotoInputs
from model.metrics import macro_f1
from model.photos import store_photo
from model.training import predict

METHODS = {"": "head only", "last": "last stage", "all": "whole network"}
CROSS_VALIDATED = 200  # labels below which cross-validation finds the epochs, rather than a stop fold


@dataclass
class Photos:
    """A folder's images, stored as fine-tuning reads them, with their classes."""

    paths: list[Path]
    labels: np.ndarray

    @classmethod
    def of(cls, folder: Path, cache: Path, line: ProgressLine) -> "Photos":
        """Those of `folder`, shrunk into `cache`."""
        pairs = [(path, number) for number, paths in enumerate(images_by_class(folder).values()) for path in paths]
        stored = [cache / f"{number}.jpg" for number in range(len(pairs))]
        for done, ((path, _), there) in enumerate(zip(pairs, stored, strict=True), 1):
            if not there.exists():
                store_photo(path.read_bytes(), 10**8, there)
            line.count("reading images", done, len(pairs))
        return cls(stored, np.array([number for _, number in pairs]))


def main() -> None:
    """Run every combination, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="a folder with a sub-folder for each class")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300], help="how many random labels (default: 100 300)")
    parser.add_argument("--seeds", type=int, default=3, help="how many draws of them (default: 3)")
    parser.add_argument("--work", type=Path, default=Path("data/finetuning"), help="where results are kept")
    options = parser.parse_args()
    line, weights = ProgressLine(), get_settings().model_weights
    work = options.work / _digest(options.images, weights)
    photos = Photos.of(options.images, work / "photos", line)
    results: dict[str, Any] = read_json(work / "results.json") or {}
    for n in options.labels:
        for seed in range(options.seeds):
            for depth, name in METHODS.items():
                key = f"{n}/{seed}/{name}"
                if key not in results:
                    results[key] = _one(photos, n, seed, depth, weights, work, line)
                    write_json(work / "results.json", results)
                line.end()
                print(f"{key}: macro F1 {results[key]['macro_f1']:.3f}, {results[key]['minutes']:.1f} min", flush=True)
    print(_table(results, options.labels, options.seeds))


def _digest(images: Path, weights: Path | None) -> str:
    """Of all that results depend on: other images, weights or recipes start anew."""
    names = [
        f"{path.relative_to(images)} {path.stat().st_size}" for paths in images_by_class(images).values() for path in paths
    ]
    about = json.dumps([names, backbone_name(weights), [str(recipe) for recipe in RECIPES.values()]])
    return hashlib.sha256(about.encode()).hexdigest()[:12]


def _one(photos: Photos, n: int, seed: int, depth: str, weights: Path | None, work: Path, line: ProgressLine) -> dict[str, Any]:
    """Label n images at random, retrain, and judge on all others."""
    order = np.random.default_rng(seed).permutation(len(photos.labels))
    labelled, rest = order[:n], order[n:]
    started, made = time.monotonic(), weights
    if depth:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        stop = np.arange(n) < (round(STOP_SHARE * n) if n >= CROSS_VALIDATED else 0)

        def report(at: Status) -> None:
            line.update(f"{n} labels, seed {seed}, {METHODS[depth]}: {at.step} {at.done}/{at.total}")

        found = finetune(
            [photos.paths[row] for row in labelled],
            photos.labels[labelled],
            stop,
            depth=depth,
            weights=weights,
            folder=folder,
            seed=seed,
            report=report,
        )
        made = found.weights
    classes = int(photos.labels.max()) + 1
    network, inputs = load_backbone(made).network, PhotoInputs(photos.paths, 224, 0)
    head = fit_head(_unit(predict(network, inputs, labelled)), photos.labels[labelled], classes)
    minutes = (time.monotonic() - started) / 60
    line.update(f"{n} labels, seed {seed}, {METHODS[depth]}: judging on {len(rest)} images")
    guesses = head.probabilities(_unit(predict(network, inputs, rest))).argmax(axis=1)
    return {"macro_f1": macro_f1(guesses, photos.labels[rest], classes), "minutes": minutes}


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _interval(values: np.ndarray) -> str:
    """The mean and its 95 % interval by Student's t over seeds."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{values.mean():+.3f} +- {half:.3f}"


def _table(results: dict[str, Any], sizes: list[int], seeds: int) -> str:
    """Markdown: mean macro F1, its interval and that of the paired difference from the head alone, minutes."""
    lines = ["| labels | retrained | macro F1 | against head only | minutes |", "|---|---|---|---|---|"]
    for n in sizes:
        base = np.array([results[f"{n}/{seed}/head only"]["macro_f1"] for seed in range(seeds)])
        for name in METHODS.values():
            found = [results[f"{n}/{seed}/{name}"] for seed in range(seeds)]
            f1 = np.array([one["macro_f1"] for one in found])
            minutes = np.mean([one["minutes"] for one in found])
            gain = "" if name == "head only" else _interval(f1 - base)
            lines.append(f"| {n} | {name} | {_interval(f1).removeprefix('+')} | {gain} | {minutes:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
