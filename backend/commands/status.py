"""`al-backend status`: what backend/status knows, for people or for scripts."""

import json

import click

from backend.commands.shared import open_work, say, with_settings
from backend.settings import Settings
from backend.status.text import render
from backend.status.values import status


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@with_settings
def status_command(settings: Settings, as_json: bool) -> None:
    """Show of each project its version, F1, queue, jobs and errors; what cannot be used and why; what somebody has changed in
    Label Studio; and what to do next.

    \b
    Examples:
      al-backend status
      al-backend status --json
    """
    found = status(settings, open_work(settings))
    say(json.dumps(found, indent=1) if as_json else render(found))
