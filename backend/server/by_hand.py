"""Projects that somebody connects in Label Studio's own pages: an ML backend at our address, added under Settings > Model.

What such a project lacks, the webhook's credentials, sampling, a first queue, is added as `connect` adds it, in a thread of the
server. Only where Label Studio itself lists our backend: whoever can send a /setup could name any project.
"""

import logging
import threading
import time

from redis.exceptions import RedisError

from backend.connection.checks import CannotConnect
from backend.connection.connecting import connect
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.labelstudio.wiring import Wiring
from backend.project.sharing import projects_of
from backend.queue.redis_server import RedisUnavailable, connect_redis
from backend.queue.sightings import begin, end
from backend.queue.waiting import JobFailed, result_of
from backend.queue.work import Work
from backend.records.state import DataDirError, new_failure
from backend.settings import Settings
from model.storage.bucket import Changed, StoreUnavailable
from model.storage.documents_in_bucket import Haste
from strategies import StrategyError

log = logging.getLogger(__name__)
LISTED_SECONDS = 20.0  # in which Label Studio must list the backend: it asks for /setup before it keeps one
LOOK_SECONDS = 0.5
LOST = (RedisError, RedisUnavailable)
REFUSALS = (
    StoreUnavailable,
    Changed,
    CannotConnect,
    LabelStudioError,
    LabelConfigError,
    StrategyError,
    DataDirError,
    JobFailed,
    *LOST,
)


def take_up(settings: Settings, work: Work, project: int) -> None:
    """Begin to connect `project`, unless that is going on already, or has failed a moment ago. Raises RedisError."""
    if begin(work.redis, project):
        threading.Thread(target=_take_up, args=(settings, project), name=f"connect-{project}", daemon=True).start()


def _take_up(settings: Settings, project: int) -> None:
    log.info("Project %s: somebody has added this backend by hand; it is being connected", project)
    trouble = ""
    try:
        work = Work(connect_redis(settings), settings.retrain_after)  # with more patience than a webhook has
        projects = projects_of(settings, Haste.SERVING)

        def wait(job_id: str) -> object:
            return result_of(work, job_id, failed=new_failure(projects, project, job_id))

        _check_listed(settings, project)
        state = connect(settings, work, project, lambda line: log.info("Project %s: %s", project, line), wait)
        log.info("Project %s is connected: the queue follows %s", project, state.live)
    except REFUSALS as error:
        trouble = str(error)
        log.error("Project %s, added by hand, could not be connected: %s", project, trouble)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
        log.exception("Project %s, added by hand, could not be connected", project)
    finally:
        try:
            end(connect_redis(settings), project, trouble)
        except LOST as error:
            log.warning("Redis does not answer: %s", error)


def _check_listed(settings: Settings, project: int) -> None:
    """That Label Studio lists our ML backend in `project`. Raises CannotConnect, LabelStudioError."""
    wiring = Wiring(LabelStudio(settings), project, settings.backend_url)
    deadline = time.monotonic() + LISTED_SECONDS
    while not any(wiring.owns_backend(row) for row in wiring.backends()):
        if time.monotonic() > deadline:
            raise CannotConnect(
                f"Label Studio lists no ML backend at BACKEND_URL={settings.backend_url} in project {project}: add it at that "
                f"address, or run `al-backend connect --project {project}`"
            )
        time.sleep(LOOK_SECONDS)
