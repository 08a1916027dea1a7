"""What is examined: what all projects share, and one project. Each fact is asked for once, and anew after a mending."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from redis import Redis

from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.installation import Installation, ask_installation
from backend.labelstudio.labelling_config import LabelConfig, read_label_config
from backend.labelstudio.wiring import Row, Wiring
from backend.project.shared_index import known_index
from backend.project.sharing import projects_of
from backend.queue.redis_server import connect_redis
from backend.queue.waiting import JobFailed, result_of
from backend.queue.work import Work
from backend.records.state import Projects, ProjectState
from backend.settings import Settings
from model.storage.documents_in_bucket import Haste

REDIS_SECONDS = 5.0
ANSWER_SECONDS = 10.0  # of Label Studio, where no token is needed
JOB_SECONDS = 60.0  # in which a job that mends something must end
Wait = Callable[[Work, str], object]  # waits for the job of that id; raises NotMended where nothing comes of it


class NotMended(RuntimeError):
    """A mending that did not come off; the message says why."""


def wait_for(work: Work, job_id: str, seconds: float = JOB_SECONDS) -> None:
    """Wait until a worker has done the job `job_id`. Raises NotMended."""
    try:
        result_of(work, job_id, seconds)
    except JobFailed as error:
        raise NotMended(str(error)) from error


class House:
    """What all projects share. doubts: what is odd about the settings; wait: waits for a job that mends something."""

    def __init__(self, settings: Settings, doubts: list[str], wait: Wait = wait_for) -> None:
        self.settings, self.doubts, self.wait = settings, doubts, wait
        self.numbers: list[int] = []  # connected projects, once they were looked for

    @cached_property
    def projects(self) -> Projects:
        """What is known of projects. Raises StoreUnavailable."""
        return projects_of(self.settings, Haste.HURRIED)

    @cached_property
    def redis(self) -> Redis:
        """Raises RedisUnavailable."""
        return connect_redis(self.settings, REDIS_SECONDS)

    @cached_property
    def work(self) -> Work:
        """The queues on Redis."""
        return Work(self.redis, self.settings.retrain_after)

    @cached_property
    def installation(self) -> Installation:
        """Label Studio as a whole. Raises LabelStudioError."""
        return ask_installation(self.settings.label_studio_url, ANSWER_SECONDS)

    @cached_property
    def label_studio(self) -> LabelStudio:
        """The client, which asks once. Raises LabelStudioError where there is no token."""
        return LabelStudio(self.settings, tries=1)


class Patient:
    """One project, `number`, of a house."""

    def __init__(self, house: House, number: int) -> None:
        self.house, self.number = house, number
        self.photo: tuple[dict[str, Any], bytes] | None = None  # a task with its image, once one was fetched
        self._known: dict[str, Any] = {}

    def forget(self) -> None:
        """Ask for everything anew: something was changed."""
        self._known.clear()

    def _once(self, name: str, ask: Callable[[], Any]) -> Any:
        if name not in self._known:
            self._known[name] = ask()
        return self._known[name]

    @property
    def settings(self) -> Settings:
        """The settings of the house."""
        return self.house.settings

    @property
    def label_studio(self) -> LabelStudio:
        """The client of the house."""
        return self.house.label_studio

    @property
    def state(self) -> ProjectState:
        """What is known of it here."""
        return self._once("state", lambda: self.house.projects.read(self.number))

    @property
    def info(self) -> dict[str, Any]:
        """Its settings in Label Studio. Raises LabelStudioError."""
        return self._once("info", lambda: self.label_studio.project(self.number))

    @property
    def config(self) -> LabelConfig:
        """What its labelling config asks. Raises LabelConfigError."""
        return self._once("config", lambda: read_label_config(self.info["label_config"], self.state.control))

    @property
    def wiring(self) -> Wiring:
        """Its connections to us."""
        s = self.settings
        return Wiring(self.label_studio, self.number, s.backend_url, s.credentials, dict(self.state.made))

    @property
    def backends(self) -> list[Row]:
        """Its ML backends: Label Studio asks each whether it is well, which takes seconds where one is not."""
        return self._once("backends", lambda: self.wiring.backends())

    @property
    def stored(self) -> list[dict[str, Any]]:
        """The predictions that Label Studio holds of the live version."""
        return self._once("stored", self._stored)

    def _stored(self) -> list[dict[str, Any]]:
        return self.label_studio.predictions(self.number, self.state.live) if self.state.live else []

    @property
    def published(self) -> dict[int, float]:
        """The place of each task that was published under the live version, as far as it is known here."""
        return self._once("published", self._published)

    def _published(self) -> dict[int, float]:
        with known_index(self.house.projects, self.number) as index:
            return index.published.scores(self.state.live) if index else {}

    @property
    def fixing(self) -> str:
        """The next step, where this command itself can take it."""
        return f"`al-backend doctor --project {self.number} --fix`"

    def rewire(self, put: str) -> None:
        """Have `wiring` see to a part ("put_backend", "put_webhook"), as `connect` does, and remember what it made."""
        wiring = self.wiring
        getattr(wiring, put)()
        with self.house.projects.edit(self.number) as state:
            state.made = state.made | wiring.made

    def reconcile(self) -> None:
        """Have a worker mend what belongs to the queue, and wait for it."""
        self._work_on("reconcile")

    def learn(self) -> None:
        """Have a worker run a round, and wait for it."""
        self._work_on("round")

    def _work_on(self, kind: str) -> None:
        work = self.house.work
        self.house.wait(work, work.wake(kind, self.number))

    def is_gone(self, error: LabelStudioError) -> bool:
        """Whether `error` came since Label Studio, which answers, has no such project."""
        return error.status == 404 and self.label_studio.answers()
