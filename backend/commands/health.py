"""`al-backend health`: whether the server, or the worker, beside this command lives; for health checks of containers.

A worker is known by its host name (a container's is its own), its process and its queues, and believed by its heartbeat in
Redis: one that hangs, or has lost Redis, gives none.
"""

import socket
from collections.abc import Sequence

import click
from redis import Redis
from rq import Worker

from backend.commands.shared import CommandError, known_queues, queues_argument, say, with_settings
from backend.connection.answering import local_url, why_not_ours
from backend.processes import runs
from backend.project.sharing import projects_of
from backend.queue.clock import now
from backend.queue.redis_server import connect_redis
from backend.settings import Settings
from model.storage.bucket import StoreUnavailable
from model.storage.documents_in_bucket import Haste

ANSWER_SECONDS = 5.0
LATE_SECONDS = 60  # a worker's heartbeat comes every 30 s, and every 10 s while a job runs


@click.command("health")
@click.argument("part", type=click.Choice(("serve", "worker")))
@queues_argument
@with_settings
def health_command(settings: Settings, part: str, queues: tuple[str, ...]) -> None:
    """Say whether the server, or the worker, on this host lives; the exit status is 0 or 1. QUEUE names those that the worker
    was started with.

    \b
    Examples, as health checks of containers:
      al-backend health serve
      al-backend health worker al-finetune
    """
    if part == "serve":
        say(check_server(settings))
    else:
        say(check_worker(connect_redis(settings, seconds=5), known_queues(queues)))


def check_server(settings: Settings) -> str:
    """A sentence about the server of these settings. Raises CommandError where it is not well.

    While STORE is out of reach any plugin there counts: to start the server again would mend nothing.
    """
    url = local_url(settings.host, settings.port)
    try:
        identity = projects_of(settings, Haste.HURRIED).identity()
    except StoreUnavailable:
        identity = ""
    if trouble := why_not_ours(url, identity, ANSWER_SECONDS):
        raise CommandError(f"The server is not well: {url}: {trouble}.")
    return f"The server answers at {url}."


def check_worker(redis: Redis, queues: Sequence[str]) -> str:
    """A sentence about the worker of exactly `queues` on this host. Raises CommandError where it is not well."""
    here, names = socket.gethostname(), ", ".join(queues)
    mine = [w for w in Worker.all(connection=redis) if w.hostname == here and set(w.queue_names()) == set(queues)]
    beats = [w.last_heartbeat for w in mine if w.last_heartbeat and w.pid and runs(w.pid)]
    if not beats:
        raise CommandError(f"No worker of {names} runs on {here}.")
    age = (now() - max(beats)).total_seconds()
    if age > LATE_SECONDS:
        raise CommandError(f"The worker of {names} on {here} gave its last sign of life {age:.0f} s ago: it hangs.")
    return f"The worker of {names} gave a sign of life {age:.0f} s ago."
