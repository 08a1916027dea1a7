"""The command `bench`: its options, its table and its JSON."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from backend.bench.figures import Bench, BenchError, Row
from backend.bench.run import MEASURES, chosen, run
from backend.commands.several import Several, SeveralCommand
from backend.commands.shared import say, with_settings
from backend.project.wanted import wanted_bases
from backend.settings import Settings

LABEL_STUDIO = Path(".venv-label-studio/bin/label-studio")  # where `make` installs one, in a checkout
EPILOG = f"""\
Measures:
{"".join(f"  {name:<12}{about}{chr(10)}" for name, about in MEASURES.items())}
Examples:
  al-backend bench --json >bench.json
  al-backend bench --only strategies --rows 100000
  al-backend bench --only strategies.margin
  al-backend bench --only embed --backbone resnet50 convnext_tiny timm:tf_efficientnet_lite0=model.pth

Close what else runs first: figures in seconds are this machine's, and a busy one gives worse. Ratios are to something measured
in the same run."""


@click.command("bench", cls=SeveralCommand, epilog=EPILOG)
@click.option("--only", multiple=True, metavar="NAME", help="A measure, or the beginning of a row's name; may be given again.")
@click.option(
    "--rows", type=click.IntRange(min=1), default=1_000_000, metavar="N", help="Pool of the strategies (default: 1000000)."
)
@click.option("--size", type=click.IntRange(min=1), default=200, metavar="N", help="Picks asked of them (default: 200).")
@click.option(
    "--backbone",
    cls=Several,
    type=str,
    default=(),
    metavar="NAME...",
    help="Network whose speed embed measures, or several; NAME=FILE takes its weights from a file (default: BACKBONE).",
)
@click.option(
    "--photos", type=click.IntRange(min=100), default=1000, metavar="N", help="Photos in Label Studio (default: 1000)."
)
@click.option(
    "--tasks", type=click.IntRange(min=1), default=100_000, metavar="N", help="Tasks of connect.tasks (default: 100000)."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For files meanwhile, 4 GB for a million rows (default: the system's).",
)
@click.option(
    "--label-studio",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Command that starts a Label Studio, for the measures that need one (default: {LABEL_STUDIO} here, or the PATH's).",
)
@click.option("--json", "json_only", is_flag=True, help="For scripts.")
@with_settings
def bench_command(
    settings: Settings,
    only: tuple[str, ...],
    rows: int,
    size: int,
    backbone: tuple[str, ...],
    photos: int,
    tasks: int,
    folder: Path | None,
    label_studio: Path | None,
    json_only: bool,
) -> None:
    """Measure how fast the product is on this machine: each figure with what it is measured against and its goal, if it has
    one. A measure that needs what is not here is skipped, with the reason.
    """
    from backend.bench.machine import describe
    from model.networks.arithmetic import fastest  # brings torch

    folder = folder or Path(tempfile.gettempdir())
    if not folder.is_dir():
        raise BenchError(f"--folder {folder} is no folder: make it first, or choose another")
    backbones = wanted_bases(settings, tuple(dict.fromkeys(backbone)) or (settings.backbone,), fastest())
    names = chosen(only, backbones)
    bench = Bench(settings, folder.resolve(), only, rows, size, photos, tasks, find_label_studio(label_studio), backbones)
    outcomes = run(bench, names)
    found = [row for outcome in outcomes.values() for row in outcome.rows]
    if json_only:
        say(json.dumps({"machine": describe(), "rows": [asdict(row) for row in found]}, indent=1))
    elif found:
        say(table(found))
    if failed := [name for name, outcome in outcomes.items() if outcome.failed]:
        raise BenchError(f"Not everything could be measured: {', '.join(failed)} failed, for the reason above.")


def find_label_studio(given: Path | None) -> Path | None:
    """The command that starts a Label Studio: the one given, that of the checkout one is in, or that of the PATH. Raises
    BenchError where the one given is not there."""
    if given and not given.is_file():
        raise BenchError(f"--label-studio {given} is no file: give the command of a Label Studio, such as {LABEL_STUDIO}")
    for command in (given, LABEL_STUDIO):
        if command and command.is_file():
            return command.absolute()
    on_path = shutil.which("label-studio")
    return Path(on_path) if on_path else None


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    wide = max(len(row.name) for row in rows)
    lines = [f"{'':{wide}}  {'value':>9} {'':4}  {'goal':>8}  met  against"]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:g}"
        met = {None: "", True: "yes", False: "no"}[row.met]
        lines.append(f"{row.name:{wide}}  {row.value:9.4g} {row.unit:4}  {goal:>8}  {met:3}  {row.against}")
    return "\n".join(lines)
