"""What several commands need: their settings, the option --project, a connected project, and a line on the terminal."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from backend.misspelt import misspelt
from backend.project.state import Projects
from backend.queue.redis_server import connect_redis
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.settings import ENV_FILE, Settings, get_settings

CHILD_OF_UP = "AL_CHILD_OF_UP"  # set for what `up` starts, which leaves to `up` what is to be said once


class CommandError(RuntimeError):
    """What was asked cannot be done now; the message says why and what to do."""


project_option = click.option(
    "--project", type=click.IntRange(min=1), required=True, metavar="ID", help="The number in the project's address."
)
queues_argument = click.argument("queues", nargs=-1, metavar="[QUEUE]...")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the settings as its first argument, and begin to log as they say."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        settings = get_settings()
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        if CHILD_OF_UP not in os.environ:
            for doubt in [*misspelt(Settings.model_fields, os.environ, Path(ENV_FILE)), *settings.doubts()]:
                click.echo(f"warning: {doubt}", err=True)
        command(settings, *arguments, **options)

    return run


def say(line: str) -> None:
    """A line for the person at the terminal, at once."""
    print(line, flush=True)


def open_work(settings: Settings) -> Work:
    """The queues on Redis. Raises RedisUnavailable."""
    return Work(connect_redis(settings), settings.retrain_after)


def connected(settings: Settings, project: int) -> Projects:
    """The projects, of which `project` must be a connected one. Raises CommandError."""
    projects = Projects(settings.data_dir)
    if not projects.read(project).connected:
        raise CommandError(f"Project {project} is not connected: `python -m backend connect --project {project}`.")
    return projects


def known_queues(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, or where there are none the queues that a worker takes by default. Raises CommandError on an unknown one."""
    if unknown := sorted(set(names) - {*QUEUES, FINETUNE}):
        raise CommandError(f"unknown queues {', '.join(unknown)}; there are {', '.join((*QUEUES, FINETUNE))}")
    return tuple(names) or QUEUES
