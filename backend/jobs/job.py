"""What every job has: a session, its place in the queues, a fence against older jobs, and a failure that people can see."""

import logging
import math
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError
from rq import Retry, Worker, get_current_job

from backend.index.index_file import IndexUnavailable
from backend.jobs.publish import Superseded
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.project.fitting import why_unfit
from backend.project.session import Progress, Session
from backend.project.shared_index import exchanged
from backend.project.sharing import projects_of, trim_copies
from backend.queue.claims import Claims
from backend.queue.redis_server import RedisUnavailable, connect_redis
from backend.queue.work import Work
from backend.records.state import Projects
from backend.settings import Settings, get_settings
from model.storage.bucket import Changed, StoreUnavailable
from model.storage.documents_in_bucket import Haste

log = logging.getLogger(__name__)
BACK_OFF = (3, 5, 10, 20, 30)  # seconds before the next tries while Label Studio is out of order; the last for all further ones
LONGEST_WAIT = 600  # seconds that Label Studio may ask for
TRIES = 1_000_000  # as long as it takes
OUT_OF_REACH = (StoreUnavailable, Changed, RedisError, RedisUnavailable)  # of what keeps states of projects, and its locks
STOPPING = "shutdown_requested_date"  # what RQ notes of a worker that stops after its job
OVERTAKES = {"round": ("rollback",)}  # once a round has published, nobody waits for a rollback that failed before


class TryLater(RuntimeError):
    """What the job needs is not there for the moment: it waits and begins again, and nothing is wrong with it."""


class JobAtWork:
    """A job at work on a project: its session, its place in the queues, and its fence."""

    def __init__(self, session: Session, work: Work, kind: str) -> None:
        self.session = session
        self.work = work
        self.kind = kind
        self.fence = ""
        self.put_off = _put_off()  # how often it has raised TryLater before; outages of Label Studio do not count

    def begin(self, generation: int, fenced: bool) -> None:
        """The first act: whatever happens from now on wakes the next job. `fenced` locks out older jobs.

        Raises Superseded where a later job has begun already.
        """
        self.fence = secrets.token_hex(8) if fenced else ""
        if not self.work.begin(self.kind, self.session.project, generation, self.fence):
            raise Superseded(f"Project {self.session.project}: a {self.kind} that was woken later has begun already")
        self.session.reread()  # what changed before the act, which a wake-up from now on does not tell

    def check(self) -> None:
        """Raise Superseded where a later job has begun to write to this project."""
        if not self.work.holds(self.session.project, self.fence):
            raise Superseded(f"Project {self.session.project}: a later job took over")

    def claims(self) -> Claims:
        """What this job claims of the images that are to go through the session's backbone."""
        job = get_current_job()
        return Claims(self.work.redis, self.session.project, self.session.backbone, job.id if job else self.kind)

    def wake(self, kind: str, delay: float = 0) -> None:
        """See that a job of `kind` starts for the same project in at most `delay` seconds."""
        self.work.wake(kind, self.session.project, delay)


def perform(kind: str, project: int, generation: int, body: Callable[[JobAtWork], Any], fenced: bool = False) -> Any:
    """Do `body` as a job of `kind`; what goes wrong is told by `status` until a job of that kind works again.

    Returns what `body` returns; None where a later job does the same, or trying again cannot help; rq's Retry, which makes
    RQ try later, while Label Studio is out of order. Raises what else goes wrong: RQ logs it, and tries again some times.
    """
    settings = get_settings()
    try:
        return _perform(settings, kind, project, generation, body, fenced)
    finally:
        trim_copies(settings)


def _perform(
    settings: Settings, kind: str, project: int, generation: int, body: Callable[[JobAtWork], Any], fenced: bool
) -> Any:
    work = Work(connect_redis(settings), settings.retrain_after)
    report = _Report(projects_of(settings, Haste.HURRIED), project, kind)
    if why := why_unfit(settings, work.redis):
        return report.later(f"the worker that took it must not: {why}")
    try:
        with Session(settings, project, _progress()) as session, exchanged(session.shared, session.index):
            session.label_studio.patient = _worker_stays
            at = JobAtWork(session, work, kind)
            at.begin(generation, fenced)
            result = body(at)
    except Superseded as reason:
        log.info("%s", reason)
        return None
    except LabelConfigError as error:
        return report.hopeless(str(error))
    except LabelStudioError as error:
        if error.passing:
            return report.later(str(error), error.again_in)
        if error.status == 404 and _is_gone(settings, project):
            with report.projects.edit(project) as state:
                state.connected = False
            return report.hopeless(
                f"Project {project} is gone from Label Studio, or its token may not see it: `connect` takes it up."
            )
        report.failed(str(error))
        raise
    except TryLater as reason:
        _count_put_off()
        return report.later(str(reason))
    except (IndexUnavailable, StoreUnavailable, Changed) as error:
        return report.later(str(error))
    except Exception as error:  # whatever it is: people must see it, and RQ has its traceback
        report.failed(str(error) or type(error).__name__)
        raise
    report.worked()
    work.succeeded(kind, project)
    return result


class _Report:
    """How jobs of a kind go, in the project's state; where that is out of reach, a line in the log has to do."""

    def __init__(self, projects: Projects, project: int, kind: str) -> None:
        self.projects = projects
        self._project = project
        self._kind = kind

    def failed(self, why: str) -> bool:
        """Remember when and why; returns whether that is news."""
        try:
            with self.projects.edit(self._project) as state:
                known = state.errors.get(self._kind, "")
                state.errors[self._kind] = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._kind}: {why}"
        except OUT_OF_REACH as error:
            log.warning("That the %s of project %s failed could not be noted: %s", self._kind, self._project, error)
            return _waits() == 0
        return not known.endswith(f" {self._kind}: {why}")

    def hopeless(self, why: str) -> None:
        """Trying again cannot help; told once."""
        if self.failed(why):
            log.error("Project %s: %s", self._project, why)

    def later(self, why: str, again_in: float | None = None) -> Retry:
        """Try again until it works, less and less often, and not before `again_in` seconds; told once."""
        if self.failed(f"waits: {why}"):
            log.warning("Project %s: the %s waits: %s", self._project, self._kind, why)
        wait = max(BACK_OFF[min(_waits(), len(BACK_OFF) - 1)], min(again_in or 0, LONGEST_WAIT))
        return Retry(max=TRIES, interval=math.ceil(wait))

    def worked(self) -> None:
        """Forget the last error of this kind, and of what it makes a thing of the past."""
        past = {self._kind, *OVERTAKES.get(self._kind, ())}
        with suppress(*OUT_OF_REACH):  # then a later job of this kind does
            if past & self.projects.read(self._project).errors.keys():
                with self.projects.edit(self._project) as state:
                    state.errors = {kind: why for kind, why in state.errors.items() if kind not in past}


def _waits() -> int:
    """How often the job at work has waited, for whatever it was."""
    current = get_current_job()
    return (current.number_of_retries if current else None) or 0


def _put_off() -> int:
    """How often the job at work has raised TryLater."""
    current = get_current_job()
    return int(current.meta.get("put_off", 0)) if current else 0


def _count_put_off() -> None:
    if current := get_current_job():
        current.meta["put_off"] = _put_off() + 1
        current.save_meta()


def _worker_stays() -> bool:
    """Whether nobody waits for the worker to stop, as far as Redis knows: a job must not wait for Label Studio meanwhile."""
    current = get_current_job()
    if not current or not current.worker_name:
        return True
    with suppress(RedisError):
        return not current.connection.hexists(f"{Worker.redis_worker_namespace_prefix}{current.worker_name}", STOPPING)
    return True


def _is_gone(settings: Settings, project: int) -> bool:
    """Whether Label Studio, which answers, has no such project."""
    label_studio = LabelStudio(settings)
    try:
        label_studio.project(project)
    except LabelStudioError as error:
        return error.status == 404 and label_studio.answers()
    finally:
        label_studio.http.close()
    return False


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
