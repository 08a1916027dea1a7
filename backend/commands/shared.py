"""What several commands need: their settings, the option --project, a connected project, and a line on the terminal."""

import errno
import logging
import os
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from backend.misspelt import misspelt
from backend.project.sharing import projects_of
from backend.queue.redis_server import connect_redis
from backend.queue.work import FINETUNE, QUEUES, Work
from backend.records.state import DataDirError, Projects
from backend.settings import ENV_FILE, Settings, get_settings
from model.storage.documents_in_bucket import Haste

CHILD_OF_UP = "AL_CHILD_OF_UP"  # set for what `up` starts, which leaves to `up` what is to be said once


DISK = {  # what is wrong with a disk or its permissions, rather than with us
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ELOOP, errno.EIO,
}  # fmt: skip


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
        try:
            command(settings, *arguments, **options)
        except OSError as error:
            if not _about(settings.data_dir, error):
                raise
            raise _unusable(settings.data_dir, f"{error.strerror}: {error.filename}") from error

    return run


def _check(data_dir: Path) -> None:
    """Raise DataDirError where DATA_DIR, or a folder on the way to it, is a file."""
    for path in (data_dir, *data_dir.parents):
        if path.exists():
            if not path.is_dir():
                raise _unusable(data_dir, f"{path} is no folder")
            return


def _unusable(data_dir: Path, reason: str) -> DataDirError:
    return DataDirError(
        f"DATA_DIR={data_dir} cannot be used ({reason}): set it to a folder that this user may write, on a disk with room."
    )


def _about(data_dir: Path, error: OSError) -> bool:
    """Whether an error of the operating system comes from DATA_DIR, or from a folder on the way to it, and not from a bug."""
    if not isinstance(error.filename, str | os.PathLike):
        return False
    path = Path(error.filename)
    outside = path == data_dir or path in data_dir.parents
    return (outside and error.errno == errno.ENOENT) or (error.errno in DISK and (outside or data_dir in path.parents))


def say(line: str) -> None:
    """A line for the person at the terminal, at once."""
    print(line, flush=True)


def open_work(settings: Settings) -> Work:
    """The queues on Redis. Raises RedisUnavailable, DataDirError."""
    _check(settings.data_dir)
    return Work(connect_redis(settings), settings.retrain_after)


def connected(settings: Settings, project: int) -> Projects:
    """The projects, of which `project` must be a connected one. Raises CommandError, DataDirError."""
    _check(settings.data_dir)
    projects = projects_of(settings, Haste.HURRIED)
    if not projects.read(project).connected:
        raise CommandError(f"Project {project} is not connected: `al-backend connect --project {project}`.")
    return projects


def known_queues(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, or where there are none the queues that a worker takes by default. Raises CommandError on an unknown one."""
    if unknown := sorted(set(names) - {*QUEUES, FINETUNE}):
        raise CommandError(f"unknown queues {', '.join(unknown)}; there are {', '.join((*QUEUES, FINETUNE))}")
    return tuple(names) or QUEUES
