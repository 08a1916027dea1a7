"""Retraining ResNet50 itself on labelled photos: the last stage alone, or the whole network. Always from the base weights.

The last stage learns on cached features of the stage before it, which takes minutes on a processor. How many epochs are best is
read off a stop fold where there is one, else off cross-validation within the training images.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from model.backbone import load_backbone, save_backbone
from model.files import read_json, write_json
from model.head import fit_head
from model.inputs import FeatureInputs, PhotoInputs
from model.training import Classifier, Epoch, Inputs, Progress, Recipe, Rows, groups, predict, train

FOLDS = 3  # of the cross-validation that finds the epochs where no stop fold can be spared
CROP = 160  # pixels of a training crop
VIEWS = 8  # augmented guises of each photo whose features are cached
CACHE_BYTES = 8e9  # of cached features on disk: many photos get fewer guises

RECIPES = {
    "last": Recipe(
        epochs=12, batch=32, learning_rate=1e-4, decay=1, head=1, weight_decay=0.05, smoothing=0.1, warmup=0.1, patience=5
    ),
    "all": Recipe(
        epochs=12, batch=32, learning_rate=5e-5, decay=0.7, head=1, weight_decay=0.05, smoothing=0.1, warmup=0.1, patience=5
    ),
}


@dataclass(frozen=True)
class Status:
    """How far fine-tuning is: `step`, with `done` of `total` images; macro_f1: on images not learned, after the last epoch;
    seconds_left: of all that is to be trained, at most."""

    step: str
    done: int
    total: int
    macro_f1: float | None = None
    seconds_left: float | None = None


@dataclass(frozen=True)
class FineTuned:
    """A retrained backbone. weights: its file; epochs: how long it was trained; seconds: what that took, processes before a
    crash included; history: of the part that made it."""

    weights: Path
    name: str
    epochs: int
    seconds: float
    history: list[Epoch]


class TooFewLabels(ValueError):
    """Labels that teach nothing to tell apart; the message says how many it takes."""


def finetune(
    photos: Sequence[Path],
    labels: NDArray[np.int64],
    stop: NDArray[np.bool_],
    *,
    depth: str,
    weights: Path | None,
    folder: Path,
    minutes: float = float("inf"),
    seed: int = 0,
    recipe: Recipe | None = None,
    report: Callable[[Status], None] = lambda _: None,
) -> FineTuned:
    """Retrain ResNet50 from `weights` (see `load_backbone`) on n labelled `photos`, as `store_photo` wrote them.

    labels: int64 (n,); stop: bool (n,), images that are not learned but tell when to stop. `folder` keeps checkpoints: called
    again with the same arguments it goes on where a killed process was. Training takes at most about `minutes`, preparation
    not counted. Equal seeds give equal weights on a processor, unless time was short. Raises TooFewLabels, WeightsError.
    """
    classes, labels = np.unique(labels, return_inverse=True)
    learned, judged = np.flatnonzero(~stop), np.flatnonzero(stop)
    if len(np.unique(labels[learned])) < 2 or len(learned) < 2 * FOLDS:
        raise TooFewLabels(f"Fine-tuning needs at least {2 * FOLDS} labelled images of two classes, better hundreds.")
    run = _Run(list(photos), labels, len(classes), depth, weights, folder, minutes * 60, seed, recipe or RECIPES[depth], report)
    made = run.part("final", learned, judged, None if len(judged) else run.best_epochs(learned))
    path = folder / "backbone.safetensors"
    name = save_backbone(run.backbone, path)
    return FineTuned(path, name, made.best, run.spent, made.epochs)


class _Run:
    """The parts of one fine-tuning: folds of a cross-validation, and the one that counts. Each remembers when it is done."""

    def __init__(
        self,
        photos: list[Path],
        labels: NDArray[np.int64],
        classes: int,
        depth: str,
        weights: Path | None,
        folder: Path,
        seconds: float,
        seed: int,
        recipe: Recipe,
        report: Callable[[Status], None],
    ) -> None:
        self.labels, self.classes, self.folder, self.seconds = labels, classes, folder, seconds
        self.seed, self.recipe, self.report = seed, recipe, report
        self.parts, self.finished, self.spent = 1, 0, 0.0
        report(Status("loading ResNet50", 0, 1))
        self.backbone = load_backbone(weights)
        network = self.backbone.network
        stem = [network.conv1, network.bn1, network.relu, network.maxpool]
        last = [network.layer4, network.avgpool, nn.Flatten(1)]
        early = [network.layer1, network.layer2, network.layer3]
        self.inputs: Inputs = PhotoInputs(photos, CROP, seed)
        if depth == "last":
            front = nn.Sequential(*stem, *early)
            self.inputs = FeatureInputs(
                self.inputs, front, folder, VIEWS, CACHE_BYTES, seed, lambda *at: report(Status(*at))
            )  # fmt: skip
            self.stages, self.groups = nn.Sequential(*last), [[network.layer4]]
        else:
            self.stages = nn.Sequential(*stem, *early, *last)
            self.groups = [[network.layer4], *([stage] for stage in reversed(early)), stem]
        self.base = {key: value.clone() for key, value in self.stages.state_dict().items()}
        report(Status("embedding", 0, 1))
        embeddings = predict(self.stages, self.inputs, np.arange(len(labels)))
        self.embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def best_epochs(self, rows: Rows) -> int:
        """After how many epochs the log loss of images not learned is least, on average over the folds."""
        self.parts = FOLDS + 1
        shuffled = np.random.default_rng(self.seed).permutation(rows)
        by_class = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        curves = []
        for fold in range(1, FOLDS + 1):
            held = np.arange(len(rows)) % FOLDS == fold - 1
            curve = self.part(f"fold {fold}", np.sort(by_class[~held]), np.sort(by_class[held]))
            curves.append([epoch.loss or 0.0 for epoch in curve.epochs])
        shortest = min(map(len, curves))
        return 1 + int(np.mean([curve[:shortest] for curve in curves], axis=0).argmin())

    def part(self, name: str, learned: Rows, judged: Rows, epochs: int | None = None) -> Progress:
        """Train from the base weights on `learned`; leaves the result in the backbone."""
        note = self.folder / f"{name}.json"
        checkpoint = self.folder / f"{name}.pt"
        if name != "final" and (found := read_json(note)):
            done = Progress([Epoch(**epoch) for epoch in found["epochs"]], found["best"])
        else:
            self.stages.load_state_dict(self.base)
            head = fit_head(self.embeddings[learned], self.labels[learned], self.classes, self.seed)
            model = Classifier(self.stages, head.weights, head.bias).to(self.backbone.device)
            until = epochs or self.recipe.epochs
            limit = max(self.seconds / self.parts, 1.0)
            done = train(
                model,
                groups(model, self.groups, self.recipe),
                self.inputs,
                self.labels,
                learned,
                judged,
                self.recipe,
                until=until,
                seconds=limit,
                checkpoint=checkpoint,
                seed=self.seed,
                report=self._reporter(name, until, len(learned)),
            )
            if name != "final":
                write_json(note, asdict(done))
                checkpoint.unlink(missing_ok=True)
        self.finished += 1
        self.spent += done.seconds
        return done

    def _reporter(self, name: str, until: int, images: int) -> Callable[[Progress, int], None]:
        """Tells `report` about a part: epochs done, the last F1, and an estimate of the seconds left in all parts."""
        started, known = time.monotonic(), None

        def tell(progress: Progress, seen: int) -> None:
            nonlocal known, started
            done = len(progress.epochs)
            if done != known:
                known, started = done, time.monotonic()
            each = progress.seconds / done if done else (time.monotonic() - started) / seen * images
            todo = until - done - seen / images + (self.parts - self.finished - 1) * self.recipe.epochs
            limit = self.seconds - self.spent - progress.seconds
            f1 = progress.epochs[-1].macro_f1 if done else None
            step = "fine-tuning" if name == "final" else f"fine-tuning, {name} of {FOLDS} to find the epochs"
            self.report(Status(f"{step}: epoch {done + 1} of {until}", seen, images, f1, max(0.0, min(each * todo, limit))))

        return tell
