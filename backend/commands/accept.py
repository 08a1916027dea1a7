"""`validate` and `accept`: having a frozen head checked, and letting it label what it is surely right about."""

import click

from backend.commands.follow import follow
from backend.commands.shared import CommandError, connected, open_work, project_option, say, with_settings
from backend.records.wishes import ACCEPT, MOST_CHECKS, TAKE_BACK, VALIDATE, Wishes
from backend.settings import Settings

ERROR = 0.02
SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
error_option = click.option(
    "--error",
    type=SHARE,
    help="The share of accepted labels that may be wrong.  [default: what `validate` asked for, else 0.02]",
)


@click.command("validate")
@project_option
@click.option(
    "--n", type=click.IntRange(1, MOST_CHECKS), default=200, show_default=True, help="How many more images are asked about."
)
@click.option("--error", type=SHARE, default=ERROR, show_default=True, help="The share of wrong labels that you can live with.")
@click.option("--anew", is_flag=True, help="Freeze the newest version, and begin its checks from nothing.")
@with_settings
def validate_command(settings: Settings, project: int, n: int, error: float, anew: bool) -> None:
    """Ask people about images of which the model is sure, drawn at random and shown without its guess. By their answers
    `accept` tells how many others the model may label itself. The version that the queue follows is frozen for that;
    `validate` again asks about more of its images.

    \b
    Examples:
      al-backend validate --project 1 --n 200
      al-backend validate --project 1 --n 100 --anew
    """
    _wish(settings, project, VALIDATE, n=n, error=error, anew=anew)


@click.command("accept")
@project_option
@error_option
@click.option("--dry-run", is_flag=True, help="Only say what may be accepted.")
@click.option(
    "--as",
    "form",
    type=click.Choice(("predictions", "annotations")),
    default="predictions",
    show_default=True,
    help="What accepted labels are in Label Studio.",
)
@click.option("--take-back", is_flag=True, help="Delete all that was accepted; what people labelled or edited stays.")
@with_settings
def accept_command(settings: Settings, project: int, error: float | None, dry_run: bool, form: str, take_back: bool) -> None:
    """Let the model label what it is surely right about: of the labels that are accepted at most a share ERROR is wrong, with
    95 %
    confidence, by what people said of the images that `validate` asked about. Accepted labels teach nothing, count as nobody's,
    and become a person's as soon as somebody edits them.

    \b
    Examples:
      al-backend accept --project 1 --dry-run
      al-backend accept --project 1 --error 0.02 --as annotations
      al-backend accept --project 1 --take-back
    """
    if take_back:
        _wish(settings, project, TAKE_BACK)
    elif dry_run:
        connected(settings, project)
        say(_told(settings, project, error))
    else:
        from backend.project.validation import Validation

        frozen = Validation(connected(settings, project).documents(project)).read()
        _wish(settings, project, ACCEPT, error=error or (frozen.error if frozen else ERROR), form=form)


def _told(settings: Settings, project: int, error: float | None) -> str:
    """What may be accepted now, in a sentence."""
    from backend.project.accepting import usable  # these bring torch, which the help of commands does without
    from backend.project.session import Session
    from backend.status.accepting import decision_text, nothing_text

    with Session(settings, project) as session:
        session.sync()
        found = usable(session)
        share = error or found.frozen.error
        decision = found.decide(share)
    if not len(decision.tasks):
        return nothing_text(project, decision, found.open_checks, share)
    return f"{decision_text(decision, share)}. Without --dry-run they are."


def _wish(settings: Settings, project: int, act: str, **values: object) -> None:
    """Have a worker do it, wait, and say what came of it. Raises CommandError where it was refused."""
    wishes, work = Wishes(connected(settings, project).documents(project)), open_work(settings)
    wish = wishes.add(act, **values)
    follow(work, work.wake("accept", project))
    outcome = wishes.outcome(wish)
    if outcome is None:
        raise CommandError("It is not done yet: `al-backend status` says why.")
    if outcome["refused"]:
        raise CommandError(outcome["said"])
    say(outcome["said"])
