"""`python -m backend up`: everything but Label Studio in one process tree, kept alive, and gone with it."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType

import click

from backend.commands.shared import with_settings
from backend.processes import die_with_parent
from backend.project.state import Projects
from backend.queue.redis_server import EmbeddedRedis, connect_redis
from backend.queue.work import EMBED, FINETUNE, HOUSEKEEPING, TRAIN
from backend.settings import Settings

log = logging.getLogger(__name__)
LONGEST_PAUSE = 30  # seconds between restarts of a child that keeps dying
STEADY = 60  # seconds after which a child counts as healthy again
WARM_SECONDS, COLD_SECONDS = 5, 5  # for a running job to finish, for a worker to drop it

CHILDREN = {
    "server": ["serve"],
    "trainer": ["worker", TRAIN],
    "housekeeper": ["worker", EMBED, HOUSEKEEPING],
    "finetuner": ["worker", FINETUNE],
}


@click.command("up")
@with_settings
def up_command(settings: Settings) -> None:
    """Run everything but Label Studio: Redis (unless REDIS_URL is set), server and workers. Ctrl-C stops all.

    \b
    Example:
      LABEL_STUDIO_API_KEY=<personal access token> python -m backend up
    """
    up(settings)


class Child:
    """A `python -m backend ...` that is started again whenever it ends."""

    def __init__(self, name: str, arguments: list[str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "backend", *arguments]
        self._pause = 1.0
        self.start()

    def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches it through us alone."""
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            self._command, preexec_fn=lambda: die_with_parent(signal.SIGTERM), start_new_session=True
        )

    def tend(self) -> None:
        """Start it again if it ended, after a pause that grows while it keeps ending."""
        if self.process.poll() is None:
            return
        lived = time.monotonic() - self._started
        self._pause = 1.0 if lived > STEADY else min(2 * self._pause, LONGEST_PAUSE)
        log.error("The %s ended with %s; starting it again in %.0f s", self.name, self.process.returncode, self._pause)
        time.sleep(self._pause)
        self.start()


def up(settings: Settings) -> None:
    """Run Redis (unless REDIS_URL is set), the server and three workers until SIGINT or SIGTERM."""
    Projects(settings.data_dir).prepare()
    embedded = None if settings.redis_url else EmbeddedRedis(settings.data_dir)
    stopping = False

    def stop(*_: int | FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    children: list[Child] = []
    try:
        if embedded:
            embedded.start()
        connect_redis(settings)
        children = [Child(name, arguments) for name, arguments in CHILDREN.items()]
        log.info("Up: %s answers Label Studio; data in %s", settings.backend_url, settings.data_dir)
        while not stopping:
            time.sleep(0.2)
            if embedded and not embedded.alive():
                log.error("The embedded Redis ended; starting it again")
                embedded.stop()
                embedded.start()
            for child in children:
                if not stopping:
                    child.tend()
    finally:
        _end(children)
        if embedded:
            embedded.stop()


def _end(children: list[Child]) -> None:
    """Let each child finish what it does, then ask workers to drop their job, then make them."""
    log.info("Stopping")
    for seconds in (WARM_SECONDS, COLD_SECONDS):
        running = [child for child in children if child.process.poll() is None]
        for child in running:
            child.process.terminate()  # RQ: the first finishes the job, the second drops it; it runs again next time
        deadline = time.monotonic() + seconds
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
    for child in children:
        if child.process.poll() is None:
            os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
