"""`retrain`, `rollback`, `pause` and `resume`: whether and when a project learns, by hand."""

import click

from backend.commands.follow import follow
from backend.commands.shared import CommandError, connected, open_work, project_option, say, with_settings
from backend.queue.work import DEPTHS
from backend.records.outcome import describe_finetuned
from backend.settings import Settings

WHY = "`al-backend status` says why"


@click.command("retrain")
@project_option
@click.option(
    "--finetune",
    type=click.Choice(DEPTHS),
    help="Retrain ResNet50 itself first, its last stage (minutes) or all of it; used only if better than the live version.",
)
@with_settings
def retrain_command(settings: Settings, project: int, finetune: str | None) -> None:
    """Run a round now and wait for it: read the labels, train, publish, switch.

    \b
    Examples:
      al-backend retrain --project 1
      al-backend retrain --project 1 --finetune last
    """
    connected(settings, project)
    work = open_work(settings)
    if finetune:
        tuned = follow(work, work.wake(f"finetune_{finetune}", project)) or {}
        if "promoted" not in tuned:
            raise CommandError(f"Not retrained: {tuned.get('ignored', WHY)}.")
        say(describe_finetuned(tuned))
        if not tuned["promoted"]:
            return
    result = follow(work, work.wake("round", project)) or {}
    if "version" not in result:
        raise CommandError(f"No new version: {result.get('ignored', WHY)}.")
    say(f"{result['version']}: trained on {result['labels']} labels, {result['published']} images published")


@click.command("rollback")
@project_option
@click.option("--to", "version", required=True, metavar="VERSION", help="A version that `status` lists, such as al-3-0a1b2c.")
@with_settings
def rollback_command(settings: Settings, project: int, version: str) -> None:
    """Let the queue follow an older version until the next round. `pause` keeps it there.

    \b
    Example:
      al-backend rollback --project 1 --to al-3-0a1b2c
    """
    from backend.records.kept import versions_of

    versions_of(connected(settings, project), project).about(version)
    work = open_work(settings)
    if not follow(work, work.roll_back(project, version)):
        raise CommandError(f"Not rolled back: {WHY}.")
    say(f"The queue follows {version} until the next round. `pause` keeps it there.")


@click.command("pause")
@project_option
@with_settings
def pause_command(settings: Settings, project: int) -> None:
    """Stop retraining a project; its queue stays with the version it follows. Labels go on to Label Studio as ever.

    \b
    Example:
      al-backend pause --project 1
    """
    with connected(settings, project).edit(project) as state:
        state.paused = True
    say(f"Project {project} is paused: the queue stays with the version it follows.")


@click.command("resume")
@project_option
@with_settings
def resume_command(settings: Settings, project: int) -> None:
    """Take up a paused project again, with every label given meanwhile.

    \b
    Example:
      al-backend resume --project 1
    """
    with connected(settings, project).edit(project) as state:
        state.paused = False
    open_work(settings).wake("reconcile", project)
    say(f"Project {project} goes on; labels given meanwhile are in the next round.")
