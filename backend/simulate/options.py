"""The options of `python -m backend simulate`, and what they mean. Imported with every command, so nothing slow in here."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from strategies import REGISTRY, get

ABOUT = "Measure on your own labelled images what each query strategy saves: a folder with a sub-folder for each class answers \
for the annotator, round after round, by the code that real rounds run. Needs neither Label Studio nor Redis."

EXAMPLES = """\
Examples:
  A quick look at how many labels are saved (minutes for 1,500 images, most of them for embeddings, which are kept):
    python -m backend simulate photos
  The same with 20 draws of test images and start labels, for narrow intervals:
    python -m backend simulate photos --seeds 20 --json result.json --plot curves.png
  One query of 250 images by each strategy, from the same model trained on 250 random labels:
    python -m backend simulate photos --one-shot --start 250 --batch 250
  A pool in which every image has 5 near-copies:
    python -m backend simulate photos --copies 5
  A pool with a rare class, of which only a tenth of the images is there:
    python -m backend simulate photos --imbalance Meat=0.1
  File names say what is for the test (where images that resemble each other must not stand on both sides):
    python -m backend simulate photos --split train_/test_
  Whether the picks still help when ResNet50 itself is retrained on them:
    python -m backend simulate photos --strategies margin --seeds 3 --finetune last --finetune-at 100 300

Reading the table: `lift` is in points of macro F1 above the base model; `against random` is the paired difference to random
sampling, with its 95 % interval over seeds; AUBC is the mean macro F1 over the range of labels; `ratio` is how many times as
many labels random sampling needs for the F1 it has at the end. Where curves are flat a little luck makes a large ratio: take
20 seeds for it, and look at AUBC first. A stopped run goes on where it was."""

T = TypeVar("T")
DEFAULTS = ("least_confidence", "margin", "entropy", "default")


def _a(kind: Callable[[str], T], fits: Callable[[T], bool], what: str) -> Callable[[str], T]:
    """Reads an option's text as a `kind` that `fits`, or says that it is no `what`."""

    def read(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
        return value

    return read


_positive = _a(int, lambda value: value >= 1, "number of 1 or more")
_natural = _a(int, lambda value: value >= 0, "number of 0 or more")
_share = _a(float, lambda value: 0 < value < 1, "share between 0 and 1")


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options to the command's parser."""
    command.epilog = EXAMPLES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    add = command.add_argument
    add("folder", type=Path, metavar="DIR", help="images, in a sub-folder for each class")
    add(
        "--strategies",
        nargs="+",
        default=list(DEFAULTS),
        metavar="NAME",
        help=f"{', '.join(REGISTRY)}, with +distinct or +balanced if wanted; or default: what a new project gets, cold "
        "start, strategy, random slots and head "
        f"(default: {' '.join(DEFAULTS)}). random is always run",
    )
    add("--start", type=_positive, metavar="N", help="random labels to begin with (default: 20; 250 with --one-shot)")
    add("--batch", type=_positive, metavar="N", help="labels a round (default: 10; 250 with --one-shot)")
    add("--rounds", type=_positive, metavar="N", help="rounds (default: as many as lead to 300 labels)")
    add("--cold", action="store_true", help="begin without a label, by the product's own start; the first figure is at --start")
    add("--one-shot", action="store_true", help="one query of --batch images instead of rounds")
    add("--seeds", type=_positive, default=5, metavar="N", help="draws of test images and start labels (default: 5)")
    add("--test", type=_share, default=0.3, metavar="SHARE", help="of each class, to be tested on (default: 0.3)")
    add("--split", type=_prefixes, metavar="TRAIN/TEST", help="file-name prefixes that say so instead, such as train_/test_")
    add("--copies", type=_natural, default=0, metavar="N", help="near-copies of each image, added to the pool (default: 0)")
    add(
        "--imbalance",
        type=_class_share,
        nargs="+",
        default=[],
        metavar="CLASS=SHARE",
        help="keep only a share of a class in the pool; the test keeps all",
    )
    add("--head", choices=("plain", "default"), default="plain", help="classifier: plain, or what ships (default: plain)")
    add(
        "--finetune",
        choices=("last", "all"),
        help="then retrain ResNet50 on the picks, its last stage or all of it; takes long",
    )
    add("--finetune-at", type=_positive, nargs="+", metavar="N", help="at which numbers of labels (default: the last)")
    add("--weights", type=Path, metavar="FILE", help="ResNet50 weights (default: MODEL_WEIGHTS)")
    add("--jobs", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a processor)")
    add("--cache", type=Path, metavar="DIR", help="where embeddings and curves are kept (default: DATA_DIR/simulate)")
    add("--fresh", action="store_true", help="run curves again that are there from before")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--csv", type=Path, metavar="FILE", help="write the points of all curves there (default: below the cache)")
    add("--plot", type=Path, metavar="FILE", help="write the PNG with the curves there (default: below the cache)")


def check_strategy(name: str) -> None:
    """Raises ValueError where there is no strategy `name`. The only place that knows which there are."""
    try:
        get(name)
    except ValueError as error:
        raise ValueError(f"--strategies: {error} Or default: what a new project gets.") from error


def _prefixes(text: str) -> tuple[str, str]:
    train, slash, test = text.partition("/")
    if not slash or not test or train == test:
        raise argparse.ArgumentTypeError(f"{text!r} is not two file-name prefixes with / between them, such as train_/test_")
    return train, test


def _class_share(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not CLASS=SHARE, such as Meat=0.1")
    return name, _share(share)
