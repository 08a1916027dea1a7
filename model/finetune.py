"""Retraining ResNet50 itself on labelled photos: the last stage alone, or the whole network. Always from the base weights.

The last stage learns on cached features of the stage before it, which takes minutes on a processor. How many epochs are best is
read off a stop fold where there is one, else off cross-validation within the training images.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models import ResNet

from model.heads.head import fit_head
from model.heads.learner import Learner
from model.inputs import PhotoInputs, cache_features
from model.networks.backbone import BackboneSpec
from model.networks.torch_backbone import load_resnet, save_module
from model.storage.files import read_json, write_atomically, write_json
from model.training import Classifier, Inputs, Lesson, Recipe, Rows, TrainingProgress, groups, predict, train

FOLDS = 3  # of the cross-validation that finds the epochs where no stop fold can be spared
CROP = 160  # pixels of a training crop
VIEWS = 8  # augmented guises of each photo whose features are cached
EMBED_ROWS = 128  # photos embedded between two reports
FINAL = "final"  # the part whose weights are kept
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
    crash included."""

    weights: Path
    name: str
    epochs: int
    seconds: float


class TooFewLabels(ValueError):
    """Labels that teach nothing to tell apart; the message says how many it takes."""


def finetune(
    photos: Sequence[Path],
    labels: NDArray[np.int64],
    stop: NDArray[np.bool_],
    *,
    depth: str,
    spec: BackboneSpec,
    folder: Path,
    minutes: float = float("inf"),
    seed: int = 0,
    recipe: Recipe | None = None,
    report: Callable[[Status], None] = lambda _: None,
) -> FineTuned:
    """Retrain the ResNet of `spec` on n labelled `photos`, as `store_photo` wrote them.

    labels: int64 (n,); stop: bool (n,), images that are not learned but tell when to stop. `folder` keeps checkpoints: called
    again with the same arguments it goes on where a killed process was. Training takes at most about `minutes`, preparation
    not counted. Equal seeds give equal weights on a processor, unless time was short. Raises TooFewLabels, WeightsError.
    """
    labels = np.unique(labels, return_inverse=True)[1]
    learned, judged = np.flatnonzero(~stop), np.flatnonzero(stop)
    if len(np.unique(labels[learned])) < 2 or len(learned) < 2 * FOLDS:
        raise TooFewLabels(f"Fine-tuning needs at least {2 * FOLDS} labelled images of two classes, better hundreds.")
    options = _Options(depth, folder, minutes * 60, seed, recipe or RECIPES[depth], report)
    report(Status("loading ResNet50", 0, 1))
    work = _FineTuning(labels, load_resnet(spec), options)
    work.prepare(photos)
    made = work.part(FINAL, learned, judged, None if len(judged) else work.best_epochs(learned))
    path = folder / "backbone.safetensors"
    name = save_module(work.network, spec, path)
    return FineTuned(path, name, made.best, work.spent)


@dataclass(frozen=True)
class _Options:
    """What `finetune` was asked for besides images."""

    depth: str
    folder: Path
    seconds: float
    seed: int
    recipe: Recipe
    report: Callable[[Status], None]


class _FineTuning:
    """The parts of one fine-tuning: folds of a cross-validation, and the one that counts. Each remembers when it is done."""

    inputs: Inputs
    embeddings: NDArray[np.float32]  # by the base weights, (n, D)

    def __init__(self, labels: NDArray[np.int64], network: ResNet, options: _Options) -> None:
        self.labels, self.options = labels, options
        self.folder, self.recipe, self.report = options.folder, options.recipe, options.report
        self.parts, self.finished, self.spent = 1, 0, 0.0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network = network.to(self.device, memory_format=torch.channels_last)
        stem = [network.conv1, network.bn1, network.relu, network.maxpool]
        early = [network.layer1, network.layer2, network.layer3]
        last = [network.layer4, network.avgpool, nn.Flatten(1)]
        self.front: nn.Sequential | None = None  # stages that are not trained, whose output is cached
        if options.depth == "last":
            self.front = nn.Sequential(*stem, *early)
            self.stages, self.groups = nn.Sequential(*last), [[network.layer4]]
        else:
            self.stages = nn.Sequential(*stem, *early, *last)
            self.groups = [[network.layer4], *([stage] for stage in reversed(early)), stem]
        self.base = {key: value.clone() for key, value in self.stages.state_dict().items()}

    def prepare(self, photos: Sequence[Path]) -> None:
        """Cache features where the first stages stay as they are, and embed the photos: minutes, but for what is there
        already."""
        inputs = PhotoInputs(photos, CROP, self.options.seed)
        self.inputs = inputs
        if self.front:
            told = lambda *at: self.report(Status(*at))  # noqa: E731
            self.inputs = cache_features(inputs, self.front, self.folder, VIEWS, CACHE_BYTES, self.options.seed, told)
        self.embeddings = self._embed()

    def _embed(self) -> NDArray[np.float32]:
        """Embeddings by the base weights, float32 (n, D), made once."""
        path, n = self.folder / "embeddings.npy", len(self.labels)
        if not path.exists():
            parts = []
            for start in range(0, n, EMBED_ROWS):
                self.report(Status("embedding photos", start, n))
                parts.append(predict(self.stages, self.inputs, np.arange(start, min(start + EMBED_ROWS, n))))
            values = np.concatenate(parts)
            values /= np.linalg.norm(values, axis=1, keepdims=True)
            write_atomically(path, lambda beside: _save(beside, values))
        return np.load(path)

    def best_epochs(self, rows: Rows) -> int:
        """After how many epochs the log loss of images not learned is least, on average over the folds."""
        self.parts = FOLDS + 1
        shuffled = np.random.default_rng(self.options.seed).permutation(rows)
        by_class = shuffled[np.argsort(self.labels[shuffled], kind="stable")]
        curves = []
        for fold in range(1, FOLDS + 1):
            held = np.arange(len(rows)) % FOLDS == fold - 1
            curve = self.part(f"fold {fold}", np.sort(by_class[~held]), np.sort(by_class[held]))
            curves.append([epoch.loss or 0.0 for epoch in curve.epochs])
        shortest = min(map(len, curves))
        return 1 + int(np.mean([curve[:shortest] for curve in curves], axis=0).argmin())

    def part(self, name: str, learned: Rows, judged: Rows, epochs: int | None = None) -> TrainingProgress:
        """Train from the base weights on `learned`; leaves the result in the network."""
        note, checkpoint = self.folder / f"{name}.json", self.folder / f"{name}.pt"
        if noted := read_json(note):
            done = TrainingProgress.from_dict(noted)
        else:
            self.stages.load_state_dict(self.base)
            classes = int(self.labels.max()) + 1
            head = fit_head(Learner(self.embeddings[learned], self.labels[learned], classes, seed=self.options.seed))
            model = Classifier(self.stages, head.weights, head.bias).to(self.device)
            until = epochs or self.recipe.epochs
            seconds = (self.options.seconds - self.spent) / (self.parts - self.finished)
            lesson = Lesson(self.inputs, self.labels, learned, judged, until, seconds, self.options.seed)
            told = self._reporter(name, until, len(learned))
            done = train(model, groups(model, self.groups, self.recipe), lesson, self.recipe, checkpoint, told)
            if name != FINAL:
                write_json(note, asdict(done))
                checkpoint.unlink(missing_ok=True)
        self.finished += 1
        self.spent += done.seconds
        return done

    def _reporter(self, name: str, until: int, images: int) -> Callable[[TrainingProgress, int], None]:
        """Tells `report` about a part: epochs done, the last F1, and an estimate of the seconds left in all parts."""
        started, known = time.monotonic(), None

        def tell(progress: TrainingProgress, seen: int) -> None:
            nonlocal known, started
            done = len(progress.epochs)
            if done != known:
                known, started = done, time.monotonic()
            each = progress.seconds / done if done else (time.monotonic() - started) / seen * images
            todo = until - done - seen / images + (self.parts - self.finished - 1) * self.recipe.epochs
            limit = self.options.seconds - self.spent - progress.seconds
            f1 = progress.epochs[-1].macro_f1 if done else None
            step = "fine-tuning" if name == FINAL else f"fine-tuning, {name} of {FOLDS} to find the epochs"
            self.report(Status(f"{step}: epoch {done + 1} of {until}", seen, images, f1, max(0.0, min(each * todo, limit))))

        return tell


def _save(path: Path, values: NDArray[np.float32]) -> None:
    with path.open("wb") as file:  # numpy adds .npy to other names
        np.save(file, values)
