"""One training run: epochs with warm-up and cosine, judged after each, with checkpoints that a killed run goes on from."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.heads.calibration import best_temperature, log_loss
from model.measuring.metrics import macro_f1
from model.storage.files import write_atomically

Rows = NDArray[np.int64]
CHECKPOINT_SECONDS = 15.0  # between checkpoints, which are written after an epoch


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. learning_rate: of the last stage; each stage before it learns `decay` times as fast (Howard &
    Ruder 1801.06146), the classifier `head` times; warmup: share of the steps; patience: epochs without a better one."""

    epochs: int
    batch: int
    learning_rate: float
    decay: float
    head: float
    weight_decay: float
    smoothing: float
    warmup: float
    patience: int


class Inputs(Protocol):
    """Where a run takes its images from; rows are positions among them."""

    def augmented(self, rows: Rows, epoch: int, batch: int) -> Iterator[torch.Tensor]:
        """Batches of `rows`, in their order, each image in a guise of its own."""

    def plain(self, rows: Rows) -> Iterator[torch.Tensor]:
        """Batches of `rows`, in their order, all of one shape, by which the run is judged."""


class Classifier(nn.Module):
    """Stages of a network and a linear classifier on their L2-normalised output: what the head on embeddings is, too.

    It starts as that head, so that the stages learn what the head could not, rather than to serve a random one
    (Kumar 2202.10054).
    """

    def __init__(self, stages: nn.Module, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        super().__init__()
        self.stages = stages
        self.head = nn.utils.skip_init(nn.Linear, weights.shape[1], weights.shape[0])  # which would draw random weights
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weights))
            self.head.bias.copy_(torch.from_numpy(bias))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of shape (N, C)."""
        return self.head(nn.functional.normalize(self.stages(inputs).float(), dim=1))

    def train(self, mode: bool = True) -> "Classifier":
        """Batch normalisation keeps its ImageNet statistics: those of a few small batches would be worse."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


@dataclass
class Epoch:
    """After one epoch: log loss (at its best temperature) and macro F1 on the judged images, None without; and its seconds."""

    loss: float | None
    macro_f1: float | None
    seconds: float


@dataclass
class TrainingProgress:
    """How far a run is. planned: epochs that its schedule is made for; best: after how many of them it was best."""

    planned: int
    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingProgress":
        """What `asdict` made plain values of, among others perhaps."""
        return cls(values["planned"], [Epoch(**epoch) for epoch in values["epochs"]], values["best"])

    @property
    def seconds(self) -> float:
        """Spent on all epochs, those of earlier processes included."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def least_loss(self) -> float:
        """The log loss after the best epoch."""
        return self.epochs[self.best - 1].loss or 0.0


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor or GPU computes in it."""
    if device.type == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


def groups(model: Classifier, stages: list[list[nn.Module]], recipe: Recipe) -> list[dict[str, Any]]:
    """Parameter groups with their learning rates: `stages` from the last to the first. Biases and norms do not decay."""
    rated = [(list(model.head.parameters()), recipe.learning_rate * recipe.head)]
    for depth, modules in enumerate(stages):
        parameters = [parameter for module in modules for parameter in module.parameters()]
        rated.append((parameters, recipe.learning_rate * recipe.decay**depth))
    result = []
    for parameters, rate in rated:
        for decays in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) == decays]
            result.append({"params": chosen, "initial_lr": rate, "weight_decay": recipe.weight_decay if decays else 0.0})
    return [group for group in result if group["params"]]


def balanced(labels: NDArray[np.int64], rows: Rows, random: np.random.Generator) -> Rows:
    """`rows` for one epoch, as many as there are, each class as often as the others, in random order."""
    classes = np.unique(labels[rows])
    share = -(-len(rows) // len(classes))
    drawn = []
    for number in classes:
        mine = rows[labels[rows] == number]
        times = -(-share // len(mine))
        drawn.append(np.concatenate([random.permutation(mine) for _ in range(times)])[:share])
    return random.permutation(np.concatenate(drawn))[: len(rows)]


@dataclass(frozen=True)
class Lesson:
    """What a run learns: `rows` of the inputs, with their labels, int64 (n,); it is judged on the rows `judged`, if any.

    until: epochs after which it ends; seconds: for which it may train; seed: what is random depends on it alone.
    """

    inputs: Inputs
    labels: NDArray[np.int64]
    rows: Rows
    judged: Rows
    until: int
    seconds: float
    seed: int


def train(
    model: Classifier,
    parameter_groups: list[dict[str, Any]],
    lesson: Lesson,
    recipe: Recipe,
    checkpoint: Path,
    report: Callable[[TrainingProgress, int], None],
) -> TrainingProgress:
    """Train `model` in place, and leave it as it was when best.

    It is judged after each epoch, stops where it gets no better for `recipe.patience` epochs, and keeps the weights with the
    least log loss; with no images to judge on, those of the last epoch. Where the recipe's epochs take longer than the lesson's
    seconds, the schedule is made for as many as fit. The run goes on from `checkpoint` if there is one, and comes to the same
    weights as if never stopped. `report` is called with the progress and the images seen in the running epoch.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(parameter_groups, lr=0.0)
    progress, best_state, written = TrainingProgress(recipe.epochs), None, time.monotonic()
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        best_state = saved["best_state"]
        progress = TrainingProgress.from_dict(saved)
    while not _finished(progress, lesson, recipe):
        started, number = time.monotonic(), len(progress.epochs)
        _learn(model, optimizer, lesson, recipe, progress, report)
        loss, f1 = _judge(model, lesson) if len(lesson.judged) else (None, None)
        better = loss is None or not number or loss < progress.least_loss
        progress.epochs.append(Epoch(loss, f1, time.monotonic() - started))
        if not number:
            progress.planned = int(np.clip(lesson.seconds / progress.seconds, 1, recipe.epochs))
        if better:
            progress.best = number + 1
            best_state = {name: value.clone() for name, value in model.state_dict().items()} if len(lesson.judged) else None
        if time.monotonic() - written > CHECKPOINT_SECONDS:
            _write(checkpoint, model, optimizer, progress, best_state)
            written = time.monotonic()
    if best_state is not None:
        model.load_state_dict(best_state)
    return progress


def _finished(progress: TrainingProgress, lesson: Lesson, recipe: Recipe) -> bool:
    done = len(progress.epochs)
    if done and progress.seconds + progress.epochs[-1].seconds > lesson.seconds:
        return True
    return done >= min(lesson.until, progress.planned) or (len(lesson.judged) > 0 and done - progress.best >= recipe.patience)


def _learn(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    lesson: Lesson,
    recipe: Recipe,
    progress: TrainingProgress,
    report: Callable[[TrainingProgress, int], None],
) -> None:
    """One epoch."""
    device, number = next(model.parameters()).device, len(progress.epochs)
    order = balanced(lesson.labels, lesson.rows, np.random.default_rng([lesson.seed, number]))
    model.train()
    seen = 0
    for batch in lesson.inputs.augmented(order, number, recipe.batch):
        factor = _rate((number + seen / len(order)) / progress.planned, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        wanted = torch.from_numpy(lesson.labels[order[seen : seen + len(batch)]]).to(device)
        with autocast(device):
            logits = model(batch.to(device))
        loss = nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=recipe.smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += len(batch)
        report(progress, seen)


def _rate(done: float, warmup: float) -> float:
    """The learning rate's factor when the share `done` of the steps is over: a linear warm-up, then half a cosine to 0."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (done - warmup) / (1 - warmup))))


def predict(model: nn.Module, inputs: Inputs, rows: Rows) -> NDArray[np.float32]:
    """The model's output for `rows`, float32."""
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        outputs = []
        for batch in inputs.plain(rows):
            with autocast(device):
                outputs.append(model(batch.to(device)).float().cpu())
    return torch.cat(outputs).numpy()


def _judge(model: Classifier, lesson: Lesson) -> tuple[float, float]:
    """Log loss at its best temperature, and macro F1, on the judged images. The head that ships is calibrated anew, so how sure
    this one is of itself must not count."""
    rows = lesson.judged
    logits, truth = predict(model, lesson.inputs, rows).astype(np.float64), lesson.labels[rows]

    loss = log_loss(logits / best_temperature(logits, truth), truth)
    return loss, macro_f1(logits.argmax(axis=1), truth, logits.shape[1])


def _write(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: TrainingProgress,
    best_state: dict[str, Any] | None,
) -> None:
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best_state": best_state,
    } | asdict(progress)
    write_atomically(path, lambda beside: torch.save(content, beside))
