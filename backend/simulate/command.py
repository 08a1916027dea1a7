"""`python -m backend simulate DIR` from options to table."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.settings import Settings
from backend.simulate.folder import list_images
from backend.simulate.images import Images, Unreadable, load_images
from backend.simulate.jobs import Work, run_curves
from backend.simulate.options import check_strategy
from backend.simulate.progress import Progress
from backend.simulate.protocol import PRODUCT, Method, Protocol, methods
from backend.simulate.report import Found, as_csv, as_json, as_table
from backend.simulate.store import CurveStore, Run
from model.files import write_atomically, write_json

LABELS = 300  # at the end, unless told otherwise
NAMED = 3  # files that are named where more cannot be read
Say = Callable[[str], None]


def simulate(options: argparse.Namespace, settings: Settings, say: Say) -> None:
    """Run what the options ask for and tell what came of it. Raises ValueError, WeightsError."""
    names = [name for text in options.strategies for name in text.split(",") if name]
    for name in set(names) - {PRODUCT}:
        check_strategy(name)
    protocol = read_protocol(options)
    product = Method(PRODUCT, settings.strategy, "default", settings.explore, not protocol.one_shot)
    asked = methods(names, options.head, options.cold, product)
    cache = options.cache or settings.data_dir / "simulate"
    line = Progress()
    images = _images(options, protocol, settings, cache, line, say)
    store = CurveStore(cache / "curves", images, protocol)
    found = _curves(images, protocol, asked, store, options, line, say)
    _write(found, protocol, options, store.folder, say)


def read_protocol(options: argparse.Namespace) -> Protocol:
    """How labels are given, with what follows from other options."""
    start = options.start or (250 if options.one_shot else 20)
    batch = options.batch or (250 if options.one_shot else 10)
    rounds = options.rounds or (1 if options.one_shot else max(1, -(-(LABELS - start) // batch)))
    if options.one_shot and rounds > 1:
        raise ValueError(f"--one-shot is a single query: leave --rounds {rounds} out.")
    return Protocol(start, batch, rounds, options.test, tuple(sorted(options.imbalance)), options.one_shot)


def _images(
    options: argparse.Namespace, protocol: Protocol, settings: Settings, cache: Path, line: Progress, say: Say
) -> Images:
    listing = list_images(options.folder, options.split, options.copies)
    for name, _ in protocol.imbalance:
        if name not in listing.classes:
            raise ValueError(f"--imbalance {name}: there is no such class; there are {', '.join(listing.classes)}.")
    weights = options.weights or settings.model_weights
    images, unreadable = load_images(listing, weights, cache, settings.max_image_pixels, line)
    if unreadable:
        say(_describe_unreadable(unreadable))
    if listing.left_out:
        say(f"{listing.left_out} images have neither of the prefixes {' and '.join(options.split)}: left out.")
    return images


def _curves(
    images: Images,
    protocol: Protocol,
    asked: list[Method],
    store: CurveStore,
    options: argparse.Namespace,
    line: Progress,
    say: Say,
) -> Found:
    """One curve for each method and seed: from before where there is one, else run now."""
    runs = [Run(method, seed) for seed in range(options.seeds) for method in asked]
    curves = {} if options.fresh else {run: curve for run in runs if (curve := store.get(run))}
    if curves:
        say(f"{len(curves)} of {len(runs)} curves are there from before; --fresh runs them again.")
    todo = [run for run in runs if run not in curves]
    curves |= run_curves(Work(images, protocol), todo, store, options.jobs, store.folder, line)
    return {method.name: [curves[Run(method, seed)] for seed in range(options.seeds)] for method in asked}


def _write(found: Found, protocol: Protocol, options: argparse.Namespace, folder: Path, say: Say) -> None:
    seeds = range(options.seeds)
    say(as_table(found, protocol))
    table = options.csv or folder / "curves.csv"
    write_atomically(table, lambda beside: _text(beside, as_csv(found, seeds)))
    if options.json:
        about: dict[str, Any] = asdict(protocol) | {"seeds": options.seeds, "head": options.head, "copies": options.copies}
        write_json(options.json, as_json(found, about))
    say("Written: " + ", ".join(str(path) for path in (table, options.json) if path))


def _text(path: Path, content: str) -> None:
    path.write_text(content)


def _describe_unreadable(unreadable: list[Unreadable]) -> str:
    files = {found.path: found.reason for found in unreadable}
    named = [f"  {path}: {reason}" for path, reason in list(files.items())[:NAMED]]
    more = [f"  and {len(files) - NAMED} more"] if len(files) > NAMED else []
    return "\n".join([f"{len(files)} of the images cannot be read and are left out:", *named, *more])
