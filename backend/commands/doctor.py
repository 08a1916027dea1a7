"""`al-backend doctor`: what backend/doctor finds of every link, for people or for scripts."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from backend.commands.shared import say
from backend.doctor.case import House
from backend.doctor.diagnosis import diagnose, line, summary
from backend.doctor.examination import Progress
from backend.doctor.finding import WRONG, Finding, wrong
from backend.misspelt import misspelt
from backend.settings import ENV_FILE, Settings, SettingsError, get_settings
from backend.terminal import ProgressLine


@click.command("doctor")
@click.option("--project", type=click.IntRange(min=1), metavar="ID", help="Only this one (default: every connected one).")
@click.option("--fix", is_flag=True, help="Mend what can be mended; without it nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def doctor_command(project: int | None, fix: bool, as_json: bool) -> None:
    """Look at every link in order, from the settings to the embedding of an image, and say of each whether it holds and what to
    do next. What depends on a broken link is not looked at. The exit status is 1 where something is wrong.

    \b
    Examples:
      al-backend doctor
      al-backend doctor --project 1 --fix
      al-backend doctor --json
    """
    progress = ProgressLine()
    findings = []
    of_project: int | None = None
    for finding in _findings(project, fix, (lambda _: None) if as_json else progress.update):
        findings.append(finding)
        if as_json:
            continue
        progress.end()
        if finding.project != of_project:
            say(f"\nProject {finding.project}")
            of_project = finding.project
        say(line(finding))
    if as_json:
        say(json.dumps({"well": not _broken(findings), "findings": [finding.as_dict() for finding in findings]}, indent=1))
    else:
        say(f"\n{summary(findings)}")
    if _broken(findings):
        raise click.exceptions.Exit(1)


def _findings(project: int | None, fix: bool, progress: Progress) -> Iterator[Finding]:
    try:
        settings = get_settings()
    except SettingsError as error:
        yield replace(wrong(str(error), "set it as docs/settings.md says, in the environment or in .env"), link="settings")
        return
    logging.basicConfig(level=settings.log_level if settings.log_level == "DEBUG" else logging.CRITICAL)
    doubts = [*misspelt(Settings.model_fields, os.environ, Path(ENV_FILE)), *settings.doubts()]
    yield from diagnose(House(settings, doubts), project, fix, progress)


def _broken(findings: list[Finding]) -> bool:
    return any(finding.state == WRONG for finding in findings)
