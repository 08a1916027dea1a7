"""What every job has: a session, its place in the queues, a fence against older jobs, and a failure that people can see."""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rq import get_current_job

from backend.jobs.publish import Superseded
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.project.session import Progress, Session
from backend.project.state import Projects
from backend.queue.redis_server import connect_redis
from backend.queue.work import Work
from backend.settings import get_settings

log = logging.getLogger(__name__)


class Job:
    """A job at work on a project: its session, its place in the queues, and its fence."""

    def __init__(self, session: Session, work: Work, kind: str) -> None:
        self.session = session
        self.work = work
        self.kind = kind
        self.fence = ""

    def begin(self, generation: int, fenced: bool = False) -> None:
        """The first act: whatever happens from now on wakes the next job. `fenced` locks out older jobs."""
        self.fence = secrets.token_hex(8) if fenced else ""
        self.work.begin(self.kind, self.session.project, generation, self.fence)
        self.session.reread()  # what changed before the act, which a wake-up from now on does not tell

    def check(self) -> None:
        """Raise Superseded where a later job has begun to write to this project."""
        if not self.work.holds(self.session.project, self.fence):
            raise Superseded(f"Project {self.session.project}: a later job took over")

    def wake(self, kind: str, delay: float = 0) -> None:
        """See that a job of `kind` starts for the same project in at most `delay` seconds."""
        self.work.wake(kind, self.session.project, delay)


@contextmanager
def job(kind: str, project: int) -> Iterator[Job]:
    """Open what a job needs; note its failure in the project's state, for `status`."""
    settings = get_settings()
    projects = Projects(settings.data_dir)
    work = Work(connect_redis(settings), settings.retrain_after)
    final = False  # whether trying again cannot help
    try:
        with Session(settings, project, _progress()) as session:
            try:
                yield Job(session, work, kind)
            except LabelConfigError:
                final = True
                raise
            except LabelStudioError as error:
                final = error.status == 404 and not session.info and session.label_studio.answers()
                if final:
                    with projects.edit(project) as state:
                        state.connected = False
                    message = (
                        f"Project {project} is gone from Label Studio, or its token may not see it: `connect` takes it up."
                    )
                    raise LabelStudioError(message, 404) from error
                raise
    except Superseded as reason:
        log.info("%s", reason)
    except Exception as error:
        with projects.edit(project) as state:
            state.last_error = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {kind}: {error}"
        if not final:
            raise
        log.error("Project %s: %s", project, error)


def _progress() -> Progress:
    """Reports progress into the RQ job's meta, at most twice a second."""
    current = get_current_job()
    last = 0.0

    def report(step: str, done: int, total: int, **more: Any) -> None:
        nonlocal last
        if current and (time.monotonic() - last > 0.5 or current.meta.get("step") != step):
            last = time.monotonic()
            current.meta |= {"step": step, "done": done, "total": total, "macro_f1": None, "seconds_left": None} | more
            current.save_meta()

    return report
