"""`al-backend worker`: one RQ worker, in this process."""

import click

from backend.commands.shared import known_queues, open_work, queues_argument, with_settings
from backend.project.state import Projects
from backend.queue.worker import run_worker
from backend.server.events import SOON
from backend.settings import Settings


@click.command("worker")
@queues_argument
@with_settings
def worker_command(settings: Settings, queues: tuple[str, ...]) -> None:
    """Run one RQ worker. QUEUE names the queues that it takes, in order; by default al-train, al-housekeeping and al-embed.
    The jobs of al-finetune take minutes to hours: give that queue a worker of its own.

    \b
    Examples, with a Redis of your own:
      REDIS_URL=redis://localhost:6379/0 al-backend worker
      REDIS_URL=redis://localhost:6379/0 al-backend worker al-finetune
    """
    names, work, projects = known_queues(queues), open_work(settings), Projects(settings.data_dir)
    projects.prepare()
    from backend.jobs import clean, embed, finetune, reconcile, rollback, round  # noqa: F401  once, so that a fork starts at once

    def rearm(seconds: int) -> None:
        for project in projects.ids():
            if projects.read(project).connected:
                work.wake("reconcile", project, seconds)

    rearm(SOON)  # whatever happened while no worker ran
    run_worker(work.redis, names, lambda: rearm(settings.reconcile_seconds), settings.log_level)
