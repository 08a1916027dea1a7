"""`al-backend export`: the model, the labels and the predictions of a project as a folder for others."""

from pathlib import Path

import click

from backend.commands.shared import CommandError, project_option, say, with_settings
from backend.project.sharing import projects_of
from backend.settings import Settings
from backend.terminal import ProgressLine
from model.storage.documents_in_bucket import Haste


@click.command("export")
@project_option
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to; an older export there is replaced (default: export-ID).",
)
@click.option("--version", "name", default="", metavar="NAME", help="A version that `status` lists (default: the live one).")
@click.option(
    "--labels",
    type=click.Choice(("csv", "folder", "none")),
    default="csv",
    show_default=True,
    help="The labelled set: a list, the images too in a folder for each class, or neither.",
)
@with_settings
def export_command(settings: Settings, project: int, to: Path | None, name: str, labels: str) -> None:
    """Write a project's model into a folder that needs nothing of this program: a state dict with a script that predicts, ONNX
    (with the extra `export`), a model card, the labelled set, and predictions for all that nobody has labelled.

    \b
    Examples:
      al-backend export --project 1
      al-backend export --project 1 --to ants-and-bees --labels folder
      al-backend export --project 1 --version al-3-0a1b2c --labels none
    """
    known = projects_of(settings, Haste.HURRIED).ids()
    if project not in known:
        raise CommandError(f"Nothing is kept of project {project}. Known here: {', '.join(map(str, known)) or 'none'}.")
    from backend.export.exporting import export  # both bring torch, which the help of commands does without
    from backend.project.session import Session

    line = ProgressLine()
    try:
        with Session(settings, project, lambda step, done, total, **_: line.update(_told(step, done, total))) as session:
            exported = export(session, (to or Path(f"export-{project}")).absolute(), name, labels)
    finally:
        line.end()
    say(f"{exported.version}, {exported.labelled} labelled images and predictions for {exported.predicted}: {exported.folder}")
    for text in exported.left_out:
        say(f"left out: {text}")


def _told(step: str, done: int, total: int) -> str:
    return f"{step} ... {done}/{total}" if total > 1 else f"{step} ..."
