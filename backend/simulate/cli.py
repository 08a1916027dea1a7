"""The command `simulate` with its options. What takes long to import is imported when they run."""

import os
from pathlib import Path
from typing import Any

import click

from backend.commands.several import Several, SeveralCommand
from backend.commands.shared import say, with_settings
from backend.settings import Settings
from backend.simulate.crowd.people import CONFUSIONS, UNIFORM
from backend.simulate.options import MINUTES, RUNS
from backend.simulate.person import Person
from backend.simulate.protocol import HEADS
from strategies import REGISTRY

EXAMPLES = """\
Examples:
  A quick look at how many labels are saved (minutes for 1,500 images, most of them for embeddings, which are kept):
    al-backend simulate photos
  The same with 20 draws of test images and start labels, for narrow intervals:
    al-backend simulate photos --seeds 20 --json result.json --plot curves.png
  One query of 250 images by each strategy, from the same model trained on 250 random labels:
    al-backend simulate photos --one-shot --start 250 --batch 250
  A pool in which every image has 5 near-copies:
    al-backend simulate photos --copies 5
  A pool with a rare class, of which only a tenth of the images is there:
    al-backend simulate photos --imbalance Meat=0.1
  File names say what is for the test (where images that resemble each other must not stand on both sides):
    al-backend simulate photos --split train_/test_
  Which network is best for these images, on the same draws:
    al-backend simulate photos --backbone resnet50 vgg16 --strategies default --seeds 20
  Whether the picks still help when ResNet50 itself is retrained on them:
    al-backend simulate photos --strategies margin --seeds 3 --finetune last --finetune-at 100 300
  How much of the folder the model can label itself after 300 labels, 2 % of that wrong at most:
    al-backend simulate photos --accept 0.02 --seeds 20
  What labelling look-alikes together brings, and how many labels of it are wrong:
    al-backend simulate photos --groups --seeds 20
  What it costs that one label in ten is wrong, and whether to ask somebody else about a doubtful one instead of a new image:
    al-backend simulate photos --noise 0.1 --seeds 20
  Three people answer each image, and err: whether weighing their answers beats the majority:
    al-backend simulate photos --noise 0.1 --annotators 3 --seeds 20
  Whether the interval of F1 holds, in 500 projects that are played to 100 labels:
    al-backend simulate photos --judge --seeds 500 --start 50 --batch 50 --rounds 1

Reading the table: `random` labels at random and learns by a plain head; `standard` does so on embeddings of images prepared
as the network's library does it (ResNet50's: the centre crop), which is what one would have without this product; `ceiling` is
the head that learned every label of the pool. `lift` is in points of macro F1 above the base model; AUBC is the mean macro F1
over the range of labels; `against` is a paired difference, with its 95 % interval over seeds; `fewer labels than random` is how
many times as many labels random sampling needs for the F1 it has at the end. Where curves are flat a little luck makes a large
ratio: take 20 seeds for it, and look at AUBC first. A stopped run goes on where it was."""

DEFAULTS = ("least_confidence", "margin", "entropy", "default")


def _prefixes(text: str) -> tuple[str, str]:
    train, slash, test = text.partition("/")
    if not slash or not test or train == test:
        raise click.BadParameter(f"{text!r} is not two file-name prefixes with / between them, such as train_/test_")
    return train, test


def _share(text: str | float) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise click.BadParameter(f"{text!r} is no share between 0 and 1")
    return share


def _class_share(text: str) -> tuple[str, float]:
    name, _, share = text.rpartition("=")
    if not name:
        raise click.BadParameter(f"{text!r} is not CLASS=SHARE, such as Meat=0.1")
    return name, _share(share)


def _time(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not NAME=X, such as look=1.5") from None


POSITIVE, NATURAL = click.IntRange(min=1), click.IntRange(min=0)
FILE = click.Path(path_type=Path)


def _option(name: str, **about: Any) -> Any:
    return click.option(name, cls=Several if about.pop("several", False) else click.Option, **about)


@click.command("simulate", cls=SeveralCommand, epilog=EXAMPLES)
@click.argument("folder", type=FILE, metavar="DIR")
@_option(
    "--strategies",
    several=True,
    type=str,
    default=DEFAULTS,
    metavar="NAME...",
    help=f"{', '.join(REGISTRY)}, with +distinct or +balanced if wanted; or default: what a new project gets, cold start, "
    f"strategy, random slots and head (default: {' '.join(DEFAULTS)}). random is always run, with the plain head.",
)
@_option("--start", type=POSITIVE, metavar="N", help="Random labels to begin with (default: 20; 250 with --one-shot).")
@_option("--batch", type=POSITIVE, metavar="N", help="Labels a round (default: 10; 250 with --one-shot).")
@_option("--rounds", type=POSITIVE, metavar="N", help="Rounds (default: as many as lead to 300 labels).")
@_option("--cold", is_flag=True, help="Begin without a label, by the product's own start; the first figure is at --start.")
@_option("--one-shot", is_flag=True, help="One query of --batch images instead of rounds.")
@_option("--seeds", type=POSITIVE, default=5, metavar="N", help="Draws of test images and start labels (default: 5).")
@_option("--test", type=_share, default=0.3, metavar="SHARE", help="Of each class, to be tested on (default: 0.3).")
@_option("--split", type=_prefixes, metavar="TRAIN/TEST", help="File-name prefixes that say so instead, such as train_/test_.")
@_option("--copies", type=NATURAL, default=0, metavar="N", help="Near-copies of each image, added to the pool (default: 0).")
@_option(
    "--imbalance",
    several=True,
    type=_class_share,
    default=(),
    metavar="CLASS=SHARE...",
    help="Keep only a share of a class in the pool; the test keeps all.",
)
@_option(
    "--head",
    type=click.Choice(HEADS),
    default="plain",
    help="Classifier: plain, or what ships (default: plain); random sampling under the latter is listed as random+head.",
)
@_option(
    "--standard/--no-standard",
    default=True,
    help="Whether to run standard too, for which all images are embedded a second time (default: --standard).",
)
@_option(
    "--finetune",
    type=click.Choice(("last", "all")),
    help="Then retrain ResNet50 on the picks, its last stage or all of it; takes long.",
)
@_option("--finetune-at", several=True, type=POSITIVE, metavar="N...", help="At which numbers of labels (default: the last).")
@_option(
    "--backbone",
    several=True,
    type=str,
    default=(),
    metavar="NAME...",
    help="Network that makes the embeddings, or several, to be compared by random and default; NAME=FILE takes its weights "
    "from a file (default: BACKBONE).",
)
@_option(
    "--weights", type=FILE, metavar="FILE", help="Weights of the network, where one is asked for (default: MODEL_WEIGHTS)."
)
@_option(
    "--accept",
    type=_share,
    metavar="ERROR",
    help="Play how the model labels the rest of the pool instead, at most a share ERROR of that wrong: whether this comes "
    f"true, and how much people must check, in {RUNS} runs: for each of --seeds in several orders of the checks.",
)
@_option("--groups", is_flag=True, help="Compare labelling in groups of look-alikes with one by one instead, at equal time.")
@_option("--judge", is_flag=True, help="See instead how often what is said of a head on images without a label holds.")
@_option(
    "--minutes",
    type=click.FloatRange(min=0.1),
    default=MINUTES,
    metavar="N",
    help=f"That the person labels, with --groups (default: {MINUTES:g}).",
)
@_option(
    "--person",
    several=True,
    type=_time,
    default=(),
    metavar="NAME=X...",
    help="Other times, with --groups, in seconds: "
    + ", ".join(f"{name}={value:g}" for name, value in vars(Person()).items())
    + ", the last the chance that an odd one is.",
)
@_option(
    "--noise",
    type=_share,
    metavar="SHARE",
    default=None,
    help="Compare ways to label by people who err in so many of their answers, some half as often, some twice as often as "
    "others; then --start and --batch count answers.",
)
@_option(
    "--annotators", type=POSITIVE, default=1, metavar="N", help="How many people answer each image, with --noise (default: 1)."
)
@_option(
    "--confusion",
    type=click.Choice(CONFUSIONS),
    default=UNIFORM,
    help=f"Wrong answers, with --noise: any other class, or the one that each class is taken for, some more often than others "
    f"(default: {UNIFORM}).",
)
@_option("--jobs", type=POSITIVE, default=os.cpu_count() or 1, metavar="N", help="Processes (default: one a processor).")
@_option("--cache", type=FILE, metavar="DIR", help="Where embeddings and curves are kept (default: DATA_DIR/simulate).")
@_option("--fresh", is_flag=True, help="Run curves again that are there from before.")
@_option("--json", type=FILE, metavar="FILE", help="Write all figures there.")
@_option("--csv", type=FILE, metavar="FILE", help="Write the points of all curves there (default: below the cache).")
@_option("--plot", type=FILE, metavar="FILE", help="Write the PNG with the curves there (default: below the cache).")
@with_settings
def simulate_command(
    settings: Settings, strategies: tuple[str, ...], cache: Path | None, backbone: tuple[str, ...], **options: Any
) -> None:
    """Measure on your own labelled images what each query strategy saves: the folder DIR with a sub-folder for each class
    answers for the annotator, round after round, by the code that real rounds run. Where an image may be of several classes
    or of none, DIR has a labels.csv instead, with the columns file and labels, such as "a.jpg,cat;dog". Needs neither Label
    Studio nor Redis.
    """
    from backend.simulate.command import Simulation
    from backend.simulate.options import Options

    options["noise"] = options["noise"] or 0.0
    names = tuple(name for text in strategies for name in text.split(",") if name)
    wanted = Options(
        strategies=names,
        cache=cache or settings.data_dir / "simulate",
        backbone=tuple(dict.fromkeys(backbone)) or (settings.backbone,),
        **options,
    )
    Simulation(wanted, settings, say).run()
