"""`python -m backend simulate DIR` from options to table."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from backend.settings import Settings
from backend.simulate.curves import Curve
from backend.simulate.draw import draw
from backend.simulate.embed import Unreadable, embed_images
from backend.simulate.errors import OptionsError
from backend.simulate.images import Images, list_images
from backend.simulate.jobs import Work, run_curves
from backend.simulate.options import check_strategy
from backend.simulate.progress import Progress
from backend.simulate.protocol import PRODUCT, Method, Protocol, methods
from backend.simulate.report import Found, as_csv, as_json, as_table
from backend.simulate.store import CurveStore, Run
from model.files import write_atomically, write_json

LABELS = 300  # at the end, unless told otherwise
ALL_LABELLED = (
    "All {labels} images of the pool are labelled at the end, so every method ends with the same labels: the last F1 and the "
    "ratio say little. Compare the areas (AUBC), or give more images or fewer --rounds."
)
NAMED = 3  # files that are named where more cannot be read
Say = Callable[[str], None]
T = TypeVar("T")


def simulate(options: SimpleNamespace, settings: Settings, say: Say) -> None:
    """Run what the options ask for and tell what came of it. Raises OptionsError, WeightsError."""
    options.weights = options.weights or settings.model_weights
    options.cache = options.cache or settings.data_dir / "simulate"
    protocol, line = read_protocol(options), Progress()
    asked = _methods(options, settings)
    images = _images(options, protocol, settings, line, say)
    grid = check_size(images, protocol)
    at = _retrain_at(options, grid)
    store = CurveStore(options.cache / "curves", images, protocol)
    curves = _curves(images, protocol, asked, store, options, line, say)
    found = _by_name(curves, asked)
    say(as_table(found, protocol))
    if grid[-1] == len(draw(images, protocol, seed=0).pool):
        say(ALL_LABELLED.format(labels=grid[-1]))
    for method in asked:
        if method.name == PRODUCT:
            say(_describe_product(method))
    about = {"seeds": options.seeds, "copies": options.copies, "methods": {method.name: asdict(method) for method in asked}}
    results = as_json(found, asdict(protocol) | about)
    _write(found, results, options, store.folder, say)
    if at:
        results["finetuned"] = _finetuned(images, protocol, curves, at, options, settings, line, say)
        _write(found, results, options, store.folder, say)


def read_protocol(options: SimpleNamespace) -> Protocol:
    """How labels are given, with what follows from other options. Raises OptionsError on options that do not fit."""
    start = options.start or (250 if options.one_shot else 20)
    batch = options.batch or (250 if options.one_shot else 10)
    rounds = options.rounds or (1 if options.one_shot else max(1, -(-(LABELS - start) // batch)))
    if options.one_shot and rounds > 1:
        raise OptionsError(f"--one-shot is a single query: leave out --rounds {rounds}.")
    if options.finetune_at and not options.finetune:
        raise OptionsError("--finetune-at needs --finetune last or --finetune all.")
    return Protocol(start, batch, rounds, options.test, tuple(sorted(options.imbalance)), options.one_shot)


def check_size(images: Images, protocol: Protocol) -> list[int]:
    """The numbers of labels at which curves are judged. Raises OptionsError where there are fewer images than asked for."""
    for name, _ in protocol.imbalance:
        if name not in images.classes:
            raise OptionsError(f"--imbalance {name}: there is no such class; there are {', '.join(images.classes)}.")
    drawn = draw(images, protocol, seed=0)
    if not len(drawn.test):
        raise OptionsError(f"{len(images.labels)} images leave none for the test: give at least two of a class.")
    return protocol.grid(len(drawn.pool))


def _methods(options: SimpleNamespace, settings: Settings) -> list[Method]:
    names = [name for text in options.strategies for name in text.split(",") if name]
    for name in dict.fromkeys(names):
        if name != PRODUCT:
            check_strategy(name)
    product = Method(PRODUCT, settings.strategy, "default", settings.explore, options.cold or not options.one_shot)
    return methods(names, options.head, options.cold, product)


def _images(options: SimpleNamespace, protocol: Protocol, settings: Settings, line: Progress, say: Say) -> Images:
    """The folder's images with their embeddings. Whether there are enough is looked at before embedding takes its minutes."""
    listed, left_out = list_images(options.folder, options.split, options.copies)
    check_size(listed, protocol)
    images, unreadable = embed_images(listed, options.weights, options.cache, settings.max_image_pixels, line)
    if unreadable:
        say(_describe_unreadable(unreadable))
    if options.split and not images.test.any():
        raise OptionsError(f"--split: no image whose name starts with {options.split[1]!r} can be read, so there is no test.")
    if left_out:
        say(f"{left_out} images have neither of the prefixes {' and '.join(options.split)}: left out.")
    return images


def _curves(
    images: Images,
    protocol: Protocol,
    asked: Sequence[Method],
    store: CurveStore,
    options: SimpleNamespace,
    line: Progress,
    say: Say,
) -> dict[Run, Curve]:
    """One curve for each method and seed: from before where there is one, else run now."""
    runs = [Run(method, seed) for seed in range(options.seeds) for method in asked]
    before = {} if options.fresh else {run: curve for run in runs if (curve := store.get(run))}
    if before:
        say(f"{len(before)} of {len(runs)} curves are there from before; --fresh runs them again.")
    todo = [run for run in runs if run not in before]
    curves = before | run_curves(Work(images, protocol), todo, store, options.jobs, options.cache, line)
    return {run: curves[run] for run in runs}


def _retrain_at(options: SimpleNamespace, grid: list[int]) -> tuple[int, ...]:
    """At which numbers of labels ResNet50 is retrained. Raises OptionsError where no curve has such a point."""
    if not options.finetune:
        return ()
    at = tuple(sorted(set(options.finetune_at or grid[-1:])))
    if unknown := [str(labels) for labels in at if labels not in grid]:
        raise OptionsError(f"--finetune-at {' '.join(unknown)}: there are figures at {', '.join(map(str, grid))} labels only.")
    return at


def _finetuned(
    images: Images,
    protocol: Protocol,
    curves: Mapping[Run, Curve],
    at: tuple[int, ...],
    options: SimpleNamespace,
    settings: Settings,
    line: Progress,
    say: Say,
) -> dict[str, Any]:
    from backend.simulate.finetuned import Retraining, as_finetuned_table, finetune_curves

    how = Retraining(options.finetune, options.weights, at, options.cache, settings.max_image_pixels)
    asked = list(dict.fromkeys(run.method for run in curves))
    retrained = _by_name(finetune_curves(images, protocol, how, curves, options.fresh, line), asked)
    say(as_finetuned_table(retrained, _by_name(curves, asked), at))
    return {"depth": how.depth, "labels": list(at), "macro_f1": retrained}


def _by_name(results: Mapping[Run, T], asked: Sequence[Method]) -> dict[str, list[T]]:
    """By the name of the method, one result a seed."""
    return {method.name: [result for run, result in results.items() if run.method == method] for method in asked}


def _write(found: Found, results: dict[str, Any], options: SimpleNamespace, folder: Path, say: Say) -> None:
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its fonts
    from backend.simulate.plot import plot

    table, picture = options.csv or folder / "curves.csv", options.plot or folder / "curves.png"
    write_atomically(table, lambda beside: _text(beside, as_csv(found, range(options.seeds))))
    plot(found, picture, options.folder.resolve().name)
    if options.json:
        write_json(options.json, results)
    say("Written: " + ", ".join(str(path) for path in (table, picture, options.json) if path))


def _text(path: Path, content: str) -> None:
    path.write_text(content)


def _describe_product(method: Method) -> str:
    start = "a cold start" if method.cold else "the random start"
    return f"{PRODUCT} is what a new project gets: {method.strategy} from {start}, {method.explore:.0%} random slots."


def _describe_unreadable(unreadable: Sequence[Unreadable]) -> str:
    files = {found.path: found.reason for found in unreadable}
    named = [f"  {path}: {reason}" for path, reason in list(files.items())[:NAMED]]
    more = [f"  and {len(files) - NAMED} more"] if len(files) > NAMED else []
    return "\n".join([f"{len(files)} of the images cannot be read and are left out:", *named, *more])
