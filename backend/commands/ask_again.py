"""`al-backend ask-again`: tasks that were answered with nothing are served again."""

import click

from backend.commands.shared import connected, open_work, project_option, say, with_settings
from backend.settings import Settings
from backend.terminal import ProgressLine


@click.command("ask-again")
@project_option
@click.option("--empty", is_flag=True, help="Tasks whose answers are all empty.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@with_settings
def ask_again_command(settings: Settings, project: int, empty: bool, dry_run: bool) -> None:
    """Let tasks be answered once more. An empty answer counts as one in Label Studio, and only its deletion serves the task
    again: a copy of each is kept in DATA_DIR first. Ground truth, imported annotations, and answers to another control stay.

    \b
    Examples:
      al-backend ask-again --project 1 --empty --dry-run
      al-backend ask-again --project 1 --empty
    """
    if not empty:
        raise click.UsageError("Say which tasks: --empty.")
    connected(settings, project)
    from backend.connection.asking_again import ask_again  # both bring torch, which the help of commands does without
    from backend.project.session import Session

    line = ProgressLine()
    try:
        with Session(settings, project) as session:
            outcome = ask_again(session, lambda done, total: line.update(f"empty answers {done}/{total}"), dry_run)
    finally:
        line.end()
    for reason, count in outcome.left.most_common():
        say(f"{count} left alone: {reason}")
    if dry_run:
        say(f"{outcome.tasks} tasks would be asked again")
        return
    say(
        f"{outcome.tasks} tasks are asked again"
        + (f"; copies of their empty answers: {outcome.place}" if outcome.tasks else "")
    )
    if outcome.tasks:
        open_work(settings).wake("reconcile", project)
