"""Whether what is said of a head on images without a label holds: projects are played whose truth the folder knows."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backend.learning.random_sample import RandomSample
from backend.learning.rounds import rank, train
from backend.simulate.curves import head_of, rules, sample_of, state
from backend.simulate.dataset import Dataset
from backend.simulate.draw import Rows, draw
from backend.simulate.errors import OptionsError
from backend.simulate.options import Options
from backend.simulate.parallel import Experiment, run_trials
from backend.simulate.progress import StepLine
from backend.simulate.protocol import Method, Protocol
from backend.simulate.store import Trial
from backend.simulate.text import markdown
from model.heads.head import Head
from model.measuring.metrics import NO_INTERVAL, Interval, f1_per_class, measure
from model.storage.files import write_json

FIGURES = ("macro_f1", "accuracy")


def play_projects(
    images: Dataset, options: Options, product: Method, line: StepLine, say: Callable[[str], None], about: dict[str, Any]
) -> None:
    """Play a project for each seed, and tell how often what is said of its head holds; `about` goes into the file of figures,
    too. Raises OptionsError."""
    if images.independent:
        raise OptionsError("--judge is for images of one class each: here an image may be of several.")
    points = judged_at(options.protocol, len(draw(images, options.protocol, seed=0).pool))
    trials = [Trial(replace(product, cold=True), seed) for seed in range(options.seeds)]
    projects: list[list[Verdict]] = []
    line.start("labelling", len(trials) * len(points))

    def tell(done: int) -> None:
        line.reach(done, f"{len(projects)} of {len(trials)} projects")

    for _, verdicts in run_trials(Judged(images, options.protocol), trials, options.jobs, options.cache, tell):
        projects.append(verdicts)
    figures = as_judge_json(projects)
    say(as_judge_table(figures))
    if options.json:
        write_json(options.json, {"protocol": asdict(options.protocol) | about, "judge": figures})
        say(f"Written: {options.json}")


@dataclass(frozen=True)
class Said:
    """Of one figure: the truth on the images without a label, the interval that is told of it, and that of the method before,
    which counts the hits among the random slots."""

    truth: float
    interval: Interval
    before: Interval

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.interval[0] - 1e-9 <= self.truth <= self.interval[1] + 1e-9


@dataclass(frozen=True)
class Verdict:
    """What is said at a number of labels of each of FIGURES; of_classes: of each class, whether the interval of its F1 holds;
    told: whether macro F1 is told as a figure; slots: random slots that it rests on."""

    labels: int
    said: dict[str, Said]
    of_classes: list[bool]
    told: bool
    slots: int


@dataclass(frozen=True)
class Judged(Experiment):
    """What all projects have in common."""

    def run(self, trial: Trial, report: Callable[[], None]) -> list[Verdict]:
        """The verdicts of a project."""
        return judge_project(self.images, self.protocol, trial.method, trial.seed, report)


def judged_at(protocol: Protocol, pool: int) -> list[int]:
    """At which numbers of labels the head is judged: where images without a label are left."""
    return [labels for labels in protocol.grid(pool) if labels < pool]


def judge_project(
    images: Dataset, protocol: Protocol, method: Method, seed: int, report: Callable[[], None] = lambda: None
) -> list[Verdict]:
    """The verdicts of the product's rounds on the pool that `seed` draws, at each of `judged_at`."""
    drawn, classes = draw(images, protocol, seed), len(images.classes)
    picked: Rows = np.zeros(0, np.int64)
    grid, verdicts = judged_at(protocol, len(drawn.pool)), []
    sample: RandomSample | None = None
    while True:
        sample = sample_of(drawn, picked, method.explore, sample)
        labelled, pool = state(images, drawn, picked, sample)
        if len(picked) in grid:
            head, metrics = train(labelled, pool, classes, seed)
            truth = images.labels[drawn.rows(pool.tasks)]
            if head:
                guesses = head.probabilities(pool.embeddings).argmax(axis=1)
                weights = labelled.weights[labelled.fair]
                verdicts.append(_verdict(len(picked), head, metrics, guesses, truth, weights))
            report()
        else:
            head = head_of(method.head, labelled, pool, classes, seed)
        due = [labels for labels in grid if labels > len(picked)]
        if not due:
            return verdicts
        queue = rank(head, pool, labelled, rules(protocol, method, len(pool.tasks)), f"al-{len(picked)}-{seed}")
        picked = np.concatenate([picked, drawn.rows(queue.tasks[: min(protocol.batch, due[0] - len(picked))])])


def _verdict(labels: int, head: Head, metrics: dict[str, Any], guesses: Rows, truth: Rows, weights: np.ndarray) -> Verdict:
    """guesses, truth: of the images without a label, int64 (N,) each; weights: of the sample's images, float64 (n,)."""
    classes = len(head.counts)
    f1, there = f1_per_class(guesses, truth, classes)
    answers = metrics["judged"]
    before = measure(np.eye(classes)[answers["guesses"]], np.array(answers["truths"], np.int64), weights)
    said = {
        "macro_f1": Said(
            float(f1[there & head.learned].mean()), metrics["interval"] or NO_INTERVAL, before.interval or NO_INTERVAL
        ),
        "accuracy": Said(
            float((guesses == truth).mean()),
            metrics["accuracy_interval"] or NO_INTERVAL,
            before.accuracy_interval or NO_INTERVAL,
        ),
    }
    intervals = metrics["per_class_intervals"] or [None] * classes
    of_classes = [Said(float(f1[c]), told, told).holds for c, told in enumerate(intervals) if told and there[c]]
    return Verdict(labels, said, of_classes, metrics["enough"], metrics["n"])


def as_judge_json(projects: Sequence[Sequence[Verdict]]) -> dict[str, Any]:
    """How often the intervals hold and how wide they are, by the number of labels: of macro F1 at the top, of accuracy below.

    width_today: of the method before; told: share of projects in which macro F1 is told as a figure; per_class: how often the
    intervals of the F1 of single classes hold.
    """
    labels = [verdict.labels for verdict in max(projects, key=len)]
    at = [[verdict for project in projects for verdict in project if verdict.labels == number] for number in labels]
    of_each = {name: _figures([[verdict.said[name] for verdict in there] for there in at]) for name in FIGURES}
    return {
        "projects": len(projects),
        "labels": labels,
        **of_each["macro_f1"],
        "accuracy": of_each["accuracy"],
        "per_class": [_mean([holds for verdict in there for holds in verdict.of_classes]) for there in at],
        "told": [_mean([verdict.told for verdict in there]) for there in at],
        "slots": [_mean([verdict.slots for verdict in there]) for there in at],
    }


def _figures(said: list[list[Said]]) -> dict[str, list[float]]:
    return {
        "coverage": [_mean([one.holds for one in there]) for there in said],
        "width": [_mean([one.interval[1] - one.interval[0] for one in there]) for there in said],
        "width_today": [_mean([one.before[1] - one.before[0] for one in there]) for there in said],
        "coverage_today": [_mean([Said(one.truth, one.before, one.before).holds for one in there]) for there in said],
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def as_judge_table(figures: dict[str, Any]) -> str:
    """The same for people, in Markdown."""
    rows = [["labels", "random slots", "figure", "holds", "width", "before: holds", "width", "told as a figure"]]
    for place, labels in enumerate(figures["labels"]):
        for name, values in (("macro F1", figures), ("accuracy", figures["accuracy"])):
            told = f"{figures['told'][place]:.1%}" if values is figures else ""
            cells = [str(labels), f"{figures['slots'][place]:.0f}", name]
            for when in ("", "_today"):
                cells += [f"{values['coverage' + when][place]:.1%}", f"{values['width' + when][place]:.3f}"]
            rows.append([*cells, told])
    return (
        f"{markdown(rows)}\n{figures['projects']} projects; 95 % is promised, on the images without a label. `before` counts "
        "the hits among the random slots."
    )
