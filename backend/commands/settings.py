"""`al-backend settings`: every setting, what it means and its current value, but no secret."""

import click

from backend.commands.shared import say, with_settings
from backend.settings import Settings


@click.command("settings")
@with_settings
def settings_command(settings: Settings) -> None:
    """List every setting, what it means and its current value. Secrets are hidden.

    \b
    Example, a setting for one call:
      RETRAIN_AFTER=5 al-backend settings
    """
    for name, about in Settings.model_fields.items():
        say(f"{name.upper()}={settings.shown(name)}\n    {about.description}")
