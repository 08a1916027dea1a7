"""`al-backend up`: everything but Label Studio in one process tree, kept alive, and gone with it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from backend.commands.listening import check_port
from backend.commands.shared import CHILD_OF_UP, with_settings
from backend.connection.answering import local_url, who_answers
from backend.processes import die_with_parent
from backend.project.sharing import projects_of
from backend.project.takeover import take_over
from backend.project.wanted import check_settings
from backend.queue.redis_server import EmbeddedRedis, RedisUnavailable, connect_redis
from backend.queue.work import EMBED, FINETUNE, HOUSEKEEPING, TRAIN
from backend.settings import Settings

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.1  # between looks at what runs
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds before what ended starts again; doubled while it keeps ending
STEADY = 60  # seconds after which what was started again counts as healthy
OFTEN = 3  # times in a row that it ended, from which on its last words are repeated
LAST_LINES = 5
WARM_SECONDS, COLD_SECONDS = 5, 5  # for a running job to finish, for a worker to drop it

PARTS = {
    "server": ["serve"],
    "trainer": ["worker", TRAIN],
    "housekeeper": ["worker", EMBED, HOUSEKEEPING],
    "finetuner": ["worker", FINETUNE],
}


@click.command("up")
@with_settings
def up_command(settings: Settings) -> None:
    """Run everything but Label Studio: Redis (unless REDIS_URL is set), the server and three workers, each started again
    whenever it ends. Ctrl-C stops all, a second Ctrl-C at once.

    \b
    Example:
      LABEL_STUDIO_API_KEY=<personal access token> al-backend up
    """
    up(settings)


def up(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM. Raises an error of our own where it cannot begin."""
    take_over(settings)
    projects = projects_of(settings)
    projects.prepare()
    check_settings(settings)
    check_port(settings, projects.identity())
    if not settings.label_studio_api_key.get_secret_value():
        log.warning("LABEL_STUDIO_API_KEY is not set: without it nothing can be read from Label Studio")
    parts: list[Part] = []
    embedded = None if settings.redis_url else Redis(settings)
    with _asked_to_stop() as hurried:
        try:
            if embedded:
                embedded.server.start()
            connect_redis(settings).close()
            parts += [Part(name, arguments) for name, arguments in PARTS.items()]
            threading.Thread(target=_announce, args=(settings, projects.identity()), daemon=True).start()
            while True:
                time.sleep(LOOK_SECONDS)
                if embedded:
                    embedded.tend()
                for part in parts:
                    part.tend()
        except Stopped:
            log.info("Stopping: running jobs end, or are dropped and run again next time. Ctrl-C once more stops at once.")
        finally:
            end(parts, hurried)
            if embedded:
                embedded.server.stop()


class Stopped(Exception):
    """A signal asks to stop."""


class Pauses:
    """When to start again what has ended: soon at first, later and later while it keeps ending."""

    def __init__(self) -> None:
        self.times = 0  # in a row that it ended
        self._started = time.monotonic()

    def started(self) -> None:
        """What is tended begins to run."""
        self._started = time.monotonic()

    def ended(self) -> float:
        """What is tended has ended: returns the seconds until it is to start again."""
        self.times = 1 if time.monotonic() - self._started > STEADY else self.times + 1
        return float(min(SHORTEST_PAUSE * 2 ** (self.times - 1), LONGEST_PAUSE))


class Part:
    """A `python -m backend ...` that is started again whenever it ends. Its lines are shown with its name before them."""

    def __init__(self, name: str, arguments: Sequence[str], command: Sequence[str] = (sys.executable, "-m", "backend")) -> None:
        self.name = name
        self._command = [*command, *arguments]
        self._pauses = Pauses()
        self._due = 0.0  # when it is to start again; 0 while it runs
        self.start()

    def start(self) -> None:
        """Start it in a process group of its own, so that Ctrl-C reaches it through us alone."""
        self._due = 0.0
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._pauses.started()
        self.process = subprocess.Popen(
            self._command,
            env=os.environ | {CHILD_OF_UP: "1", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._pass_on, args=(self.process, self._last), daemon=True)
        self._reader.start()

    def tend(self) -> None:
        """Start it again if it ended, once its pause is over. Takes no time itself."""
        if self.process.poll() is None:
            return
        if not self._due:
            pause = self._pauses.ended()
            self._due = time.monotonic() + pause
            log.error("The %s ended with %s; it starts again in %.2g s", self.name, self._status(), pause)
            if self._pauses.times >= OFTEN:
                log.error("The %s has ended %d times in a row. It said last: %s", self.name, self._pauses.times, self._words())
        elif time.monotonic() >= self._due:
            self.start()

    def _status(self) -> str:
        code = self.process.returncode
        return f"status {code}" if code >= 0 else signal.Signals(-code).name

    def _words(self) -> str:
        self._reader.join(0.2)
        lines = [line for line in self._last if line.strip()]
        return (lines[-1] if lines and lines[-1].startswith("error:") else " / ".join(lines)) or "nothing"

    def _pass_on(self, process: "subprocess.Popen[str]", last: deque[str]) -> None:
        assert process.stdout  # noqa: S101
        for line in process.stdout:
            last.append(line.rstrip())
            sys.stderr.write(f"{self.name:<11} | {line.rstrip()}\n")


class Redis:
    """The embedded Redis, started again whenever it ends."""

    def __init__(self, settings: Settings) -> None:
        self.server = EmbeddedRedis(settings.data_dir)
        self._pauses = Pauses()
        self._due = 0.0

    def tend(self) -> None:
        """Start it again if it ended, once its pause is over."""
        if self.server.alive():
            return
        if not self._due:
            pause = self._pauses.ended()
            self._due = time.monotonic() + pause
            log.error("The embedded Redis ended; it starts again in %.2g s", pause)
        elif time.monotonic() >= self._due:
            self._due = 0.0
            self.server.stop()
            self._pauses.started()
            try:
                self.server.start()
            except RedisUnavailable as error:
                log.error("%s", error)


def end(parts: Sequence[Part], hurried: threading.Event) -> None:
    """Let each part finish what it does, then ask workers to drop their job, then make them; at once where `hurried`."""
    for seconds in (WARM_SECONDS, COLD_SECONDS):
        running = [part.process for part in parts if part.process.poll() is None]
        for process in running:
            process.terminate()  # RQ: the first finishes the job, the second drops it; it runs again next time
        deadline = time.monotonic() + seconds
        while any(process.poll() is None for process in running) and time.monotonic() < deadline and not hurried.is_set():
            time.sleep(0.05)
    for part in parts:
        if part.process.poll() is None:
            os.killpg(part.process.pid, signal.SIGKILL)
            part.process.wait()


def _announce(settings: Settings, identity: str) -> None:
    """Say that all is up, and what comes next, once the server answers."""
    while who_answers(local_url(settings.host, settings.port)).identity != identity:
        time.sleep(0.5)
    where = settings.store or settings.data_dir
    log.info("Up: the server answers Label Studio at %s; data in %s", settings.backend_url, where)
    log.info("Next, in another terminal: al-backend connect --project ID")


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """The first SIGINT or SIGTERM raises Stopped, whatever is waited for; any further one sets the event."""
    hurried, asked = threading.Event(), False

    def stop(*_: int | FrameType | None) -> None:
        nonlocal asked
        if asked:
            hurried.set()
            return
        asked = True
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    yield hurried
