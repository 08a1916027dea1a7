"""`al-backend connect`, `disconnect` and `forget`: taking up a Label Studio project, and letting go of it."""

import click

from backend.commands.follow import follow
from backend.commands.shared import CommandError, open_work, project_option, say, with_settings
from backend.connection import connecting
from backend.connection.connecting import Wait, Wishes
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.project.sharing import projects_of
from backend.queue.work import DEPTHS, Work
from backend.records.state import new_failure
from backend.settings import Settings
from model.storage.documents_in_bucket import Haste


@click.command("connect")
@project_option
@click.option("--strategy", metavar="NAME", help="Query strategy for this project (default: STRATEGY).")
@click.option(
    "--finetune",
    type=click.Choice(("off", *DEPTHS)),
    help="How deep this project's ResNet50 is retrained as labels grow, and by Start Training (default: FINETUNE).",
)
@click.option(
    "--backbone",
    metavar="NAME[=FILE]",
    help="Network for this project, with its weights in FILE or the library's (default: BACKBONE). Where the project has "
    "another one, it is used once all images are embedded and it is better on random slots.",
)
@click.option("--force", is_flag=True, help="Use that --backbone even where it is no better.")
@click.option("--control", metavar="NAME", help="Which <Choices> of the labelling config is learned (default: the first).")
@with_settings
def connect_command(settings: Settings, project: int, force: bool, **wished: str | None) -> None:
    """Connect a project and publish its first queue. Safe to repeat, and to run again after BACKEND_URL or the labelling config
    has changed. Everything is checked first; where a step fails, what was changed is put back.

    \b
    Examples:
      al-backend connect --project 1
      al-backend connect --project 1 --strategy margin+distinct
      al-backend connect --project 1 --control species
      al-backend connect --project 1 --backbone vgg16
    """
    if force and not wished["backbone"]:
        raise click.UsageError("--force says that a --backbone is to be used even where it is no better: name it.")
    work = open_work(settings)
    wishes = Wishes(**wished, force=force)
    state = connecting.connect(settings, work, project, say, waiting(settings, work, project), wishes)
    say(f"The queue follows {state.live}. Open the project and press 'Label All Tasks'.")


@click.command("disconnect")
@project_option
@with_settings
def disconnect_command(settings: Settings, project: int) -> None:
    """Put the project's settings back, remove ML backend, webhook and tab; labels stay.

    \b
    Example:
      al-backend disconnect --project 1
    """
    connecting.disconnect(settings, open_work(settings), project, say)


@click.command("forget")
@project_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def forget_command(settings: Settings, project: int, yes: bool) -> None:
    """Remove all that is kept of a project in DATA_DIR, or in STORE: its versions, embeddings and state. Made for projects that
    were deleted in Label Studio; labels live there and are not touched.

    \b
    Example:
      al-backend forget --project 4
    """
    projects = projects_of(settings, Haste.HURRIED)
    if project not in projects.ids():
        known = ", ".join(map(str, projects.ids())) or "none"
        raise CommandError(f"Nothing is kept of project {project}. Known here: {known}.")
    if projects.read(project).connected and not _is_gone(settings, project):
        raise CommandError(f"Project {project} is connected: `al-backend disconnect --project {project}` first.")
    if not yes and not click.confirm(
        f"Remove all versions and embeddings of project {project} from {settings.store or settings.data_dir}?"
    ):
        say("Nothing was removed.")
        return
    connecting.forget(settings, open_work(settings), project)
    say(f"Project {project} is forgotten.")


def waiting(settings: Settings, work: Work, project: int) -> Wait:
    """Waits for a job at the terminal, and no longer than until it has failed once: its retries would take minutes."""
    projects = projects_of(settings, Haste.SERVING)  # which is looked at again and again
    return lambda job_id: follow(work, job_id, failed=new_failure(projects, project, job_id))


def _is_gone(settings: Settings, project: int) -> bool:
    """Whether Label Studio answers, and no longer knows the project. Raises LabelStudioError where it does not answer."""
    label_studio = LabelStudio(settings)
    try:
        label_studio.project(project)
    except LabelStudioError as error:
        if error.status == 404 and label_studio.answers():
            return True
        raise
    return False
