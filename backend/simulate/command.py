"""A simulation from options to table: `al-backend simulate DIR`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.learning.promise import candidates
from backend.project.sharing import projects_of
from backend.project.wanted import wanted_bases
from backend.settings import Settings
from backend.simulate.accepting import Accepted, Run, freeze, play
from backend.simulate.comparison import as_comparison
from backend.simulate.crowd.command import compare_crowd
from backend.simulate.curves import Curve
from backend.simulate.dataset import Dataset, list_dataset
from backend.simulate.draw import draw
from backend.simulate.embed_dataset import Unreadable, embed_dataset
from backend.simulate.errors import OptionsError
from backend.simulate.judging import play_projects
from backend.simulate.options import RUNS, Options
from backend.simulate.parallel import Experiment, run_curves, run_trials
from backend.simulate.person import person_of
from backend.simulate.progress import StepLine
from backend.simulate.protocol import BASELINE, CEILING, PRODUCT, STANDARD, Method, Protocol, methods
from backend.simulate.report import as_csv, as_json, as_table
from backend.simulate.results import Results
from backend.simulate.store import CurveStore, Trial
from backend.simulate.walks import IN_GROUPS, SINGLY, Compared, Walks, as_walks_csv, as_walks_json, as_walks_table
from model.networks import network
from model.networks.backbone import backbone_name, standard_of
from model.storage.files import write_atomically, write_json

ALL_LABELLED = (
    "All {labels} images of the pool are labelled at the end, so every method ends with the same labels: the last F1 and the "
    "ratio say little. Compare the areas (AUBC), or give more images or fewer --rounds."
)
NAMED = 3  # files that are named where more cannot be read


@dataclass(frozen=True)
class Seen:
    """The images as one network sees them. standard: as it sees them where they are prepared as its library does it, None where
    that is left out."""

    images: Dataset
    standard: Dataset | None


class Simulation:
    """What `options` ask for, told through `say`, with the product's defaults from `settings`."""

    def __init__(self, options: Options, settings: Settings, say: Callable[[str], None]) -> None:
        self.options, self.settings, self.say = options, settings, say
        self.line = StepLine()
        arithmetic = projects_of(settings).arithmetic()
        self.specs = wanted_bases(settings, options.backbone, arithmetic, options.weights)
        if options.finetune and (fixed := [spec.network for spec in self.specs.values() if not network(spec.network).tunable]):
            raise OptionsError(
                f"--finetune retrains ResNets, and {fixed[0]} is none: leave it out, or take --backbone resnet50."
            )
        product = self.product = Method(
            PRODUCT, settings.strategy, "default", settings.explore, options.cold or not options.one_shot
        )
        names = [*options.strategies, *([PRODUCT] if len(self.specs) > 1 else [])]  # by which networks are compared
        self.methods = methods(names, options.head, options.cold, product)

    def run(self) -> None:
        """Label, draw the tables and write the files. Raises OptionsError, WeightsError."""
        options, protocol = self.options, self.options.protocol
        networks = self._networks()
        images = next(iter(networks.values())).images
        if options.groups:
            self._compare_groups(images)
            return
        if options.accept:
            self._accept(images, options.accept)
            return
        if options.noise:
            compare_crowd(images, options, self.product, self.line, self.say)
            return
        if options.judge:
            play_projects(images, options, self.product, self.line, self.say, self._about())
            return
        grid = check_size(images, protocol)
        retrain_at = options.retrain_at(grid)
        results = {}
        for name, seen in networks.items():
            results[name] = self._label(seen)
            self.say((f"{name}:\n" if len(networks) > 1 else "") + as_table(results[name], protocol))
        if grid[-1] == len(draw(images, protocol, seed=0).pool):
            self.say(ALL_LABELLED.format(labels=grid[-1]))
        for method in self.methods:
            if method.name == PRODUCT:
                self.say(_describe_product(method))
        if len(networks) > 1:
            self.say(as_comparison(results))
        figures = as_json(results, asdict(protocol) | self._about())
        folder = CurveStore(options.cache / "curves", images, protocol).folder
        self._write(results, figures, folder)
        if retrain_at:
            figures["finetuned"] = self._retrain(images, next(iter(results.values())), retrain_at)
            self._write(results, figures, folder)

    def _compare_groups(self, images: Dataset) -> None:
        """Label one by one and in groups for equal time, and tell what came of it."""
        if images.independent:
            raise OptionsError("--groups gives all images of a group one class: here an image may be of several.")
        options, person, seconds = self.options, person_of(self.options.person), 60 * self.options.minutes
        ways = [replace(self.product, name=name, cold=True) for name in (SINGLY, IN_GROUPS)]
        trials = [Trial(way, seed) for seed in range(options.seeds) for way in ways]
        self.line.start("labelling", len(trials))
        done = {}
        for trial, walk in run_trials(
            Walks(images, options.protocol, person, seconds), trials, options.jobs, options.cache, lambda _: None
        ):
            done[trial] = walk
            self.line.reach(len(done), f"{len(done)} of {len(trials)} walks")
        by_way = {way.name: [done[Trial(way, seed)] for seed in range(options.seeds)] for way in ways}
        compared = Compared(by_way, person, seconds)
        self.say(as_walks_table(compared))
        table = options.csv or options.cache / "groups.csv"
        write_atomically(table, lambda beside: _text(beside, as_walks_csv(compared)))
        if options.json:
            write_json(options.json, as_walks_json(compared))
        self.say("Written: " + ", ".join(str(path) for path in (table, options.json) if path))

    def _accept(self, images: Dataset, error: float) -> None:
        """Label, let the head label the rest as far as it may, and tell what came of it."""
        if images.independent:
            raise OptionsError("--accept takes a guess as right or wrong: here an image may be of several classes.")
        protocol, product, seeds = self.options.protocol, replace(self.product, cold=True), range(self.options.seeds)
        curves = self._curves(images, [Trial(product, seed) for seed in seeds])
        self.line.start("accepting", len(seeds))
        runs: list[Run] = []
        for seed in seeds:
            frozen = freeze(images, protocol, product, np.array(curves[Trial(product, seed)].picked), seed)
            among = candidates(frozen.population, error)
            runs += [
                play(frozen, among, error, np.random.default_rng([seed, 5, order])) for order in range(-(-RUNS // len(seeds)))
            ]
            self.line.advance(1)
        accepted = Accepted(runs, error)
        self.say(accepted.as_table())
        if self.options.json:
            write_json(self.options.json, {"accept": accepted.as_dict(), "runs": [asdict(run) for run in runs]} | self._about())
            self.say(f"Written: {self.options.json}")

    def _about(self) -> dict[str, Any]:
        """What else the figures depend on."""
        by_name = {method.name: asdict(method) for method in self.methods}
        backbones = {text: backbone_name(spec) for text, spec in self.specs.items()}
        seeds, copies = self.options.seeds, self.options.copies
        return {"seeds": seeds, "copies": copies, "methods": by_name, "backbones": backbones}

    def _networks(self) -> dict[str, Seen]:
        """The folder's images with the embeddings of each network, by its name as it was asked for: the same images for each.
        Whether there are enough is looked at before embedding takes its minutes."""
        options, split = self.options, self.options.split
        listed, left_out = list_dataset(options.folder, split, options.copies)
        check_size(listed, options.protocol)
        if listed.independent and options.finetune:
            raise OptionsError("--finetune learns single choices: leave it out where images are of several classes.")
        most = self.settings.max_image_pixels
        own, with_standard = (
            self.specs.values(),
            options.standard and not (options.groups or options.accept or options.noise or options.judge),
        )
        specs = list(dict.fromkeys([*own, *(standard_of(spec) for spec in own if with_standard)]))
        embedded, unreadable = embed_dataset(listed, specs, options.cache, most, self.line)
        if unreadable:
            self.say(_describe_unreadable(unreadable))
        if split and not embedded[0].test.any():
            raise OptionsError(f"--split: no image whose name starts with {split[1]!r} can be read, so there is no test.")
        if split and left_out:
            self.say(f"{left_out} images have neither of the prefixes {' and '.join(split)}: left out.")
        embedded_by = dict(zip(specs, embedded, strict=True))
        standards = {spec: embedded_by[standard_of(spec)] for spec in own} if with_standard else {}
        return {name: Seen(embedded_by[spec], standards.get(spec)) for name, spec in self.specs.items()}

    def _label(self, seen: Seen) -> Results:
        """The curves of a network."""
        seeds = range(self.options.seeds)
        own = self._curves(seen.images, [Trial(method, seed) for seed in seeds for method in (*self.methods, CEILING)])
        curves = {method.name: [own[Trial(method, seed)] for seed in seeds] for method in self.methods}
        if seen.standard:
            trials = [Trial(self.methods[0], seed) for seed in seeds]
            same = seen.standard is seen.images
            of_standard = own if same else self._curves(seen.standard, trials, " on standard embeddings")
            baselines = {BASELINE: curves[BASELINE], STANDARD: [of_standard[trial] for trial in trials]}
            curves = baselines | curves
        return Results(curves, [own[Trial(CEILING, seed)] for seed in seeds])

    def _curves(self, images: Dataset, trials: Sequence[Trial], on: str = "") -> dict[Trial, Curve]:
        """The curve of each trial: from before where there is one, else run now. on: which embeddings people are told of."""
        options = self.options
        store = CurveStore(options.cache / "curves", images, options.protocol)
        before = {} if options.fresh else {trial: curve for trial in trials if (curve := store.get(trial))}
        if before:
            self.say(f"{len(before)} of {len(trials)} curves{on} are there from before; --fresh runs them again.")
        todo = [trial for trial in trials if trial not in before]
        return before | run_curves(Experiment(images, options.protocol), todo, store, options.jobs, options.cache, self.line)

    def _retrain(self, images: Dataset, results: Results, at: tuple[int, ...]) -> dict[str, Any]:
        """What is learned where ResNet50 itself is retrained on the labels so far, at each of `at`."""
        from backend.simulate.retraining import Retraining, as_retrained_table, retrain_curves

        options = self.options
        how = Retraining(
            options.finetune or "last", next(iter(self.specs.values())), at, options.cache, self.settings.max_image_pixels
        )
        curves = {Trial(m, seed): results.curves[m.name][seed] for seed in range(options.seeds) for m in self.methods}
        by_trial = retrain_curves(images, options.protocol, how, curves, options.fresh, self.line)
        scores = {m.name: [value for trial, value in by_trial.items() if trial.method == m] for m in self.methods}
        self.say(as_retrained_table(scores, results.curves, at))
        return {"depth": how.depth, "labels": list(at), "macro_f1": scores}

    def _write(self, results: Mapping[str, Results], figures: dict[str, Any], folder: Path) -> None:
        """Write the table of points, the picture and, where asked for, all figures; by default into `folder`."""
        logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its fonts
        from backend.simulate.plot import plot

        options = self.options
        table, picture = options.csv or folder / "curves.csv", options.plot or folder / "curves.png"
        lines = as_csv(results, range(options.seeds))
        write_atomically(table, lambda beside: _text(beside, lines))
        plot(results, picture, options.folder.resolve().name)
        if options.json:
            write_json(options.json, figures)
        self.say("Written: " + ", ".join(str(path) for path in (table, picture, options.json) if path))


def check_size(images: Dataset, protocol: Protocol) -> list[int]:
    """The numbers of labels at which curves are judged. Raises OptionsError where there are fewer images than asked for."""
    if images.independent and protocol.imbalance:
        raise OptionsError("--imbalance is for images of one class each: leave it out, or leave images out of labels.csv.")
    for name, _ in protocol.imbalance:
        if name not in images.classes:
            raise OptionsError(f"--imbalance {name}: there is no such class; there are {', '.join(images.classes)}.")
    drawn = draw(images, protocol, seed=0)
    if protocol.test and not len(drawn.test):
        raise OptionsError(f"{len(images.labels)} images leave none for the test: give at least two of a class.")
    return protocol.grid(len(drawn.pool))


def _text(path: Path, content: str) -> None:
    path.write_text(content)


def _describe_product(method: Method) -> str:
    start = "a cold start" if method.cold else "the random start"
    return f"{PRODUCT} is what a new project gets: {method.strategy} from {start}, {method.explore:.0%} random slots."


def _describe_unreadable(unreadable: Sequence[Unreadable]) -> str:
    files = {file.path: file.reason for file in unreadable}
    named = [f"  {path}: {reason}" for path, reason in list(files.items())[:NAMED]]
    more = [f"  and {len(files) - NAMED} more"] if len(files) > NAMED else []
    return "\n".join([f"{len(files)} of the images cannot be read and are left out:", *named, *more])
