"""`al-backend worker`: one RQ worker, in this process."""

import gc
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import click

from backend.commands.shared import known_queues, open_work, queues_argument, with_settings
from backend.network.transport import certificates
from backend.processes import apart, end
from backend.project.fitting import why_unfit
from backend.project.sharing import projects_of
from backend.project.takeover import take_over
from backend.queue.worker import run_worker
from backend.server.events import SOON
from backend.settings import Settings
from model.storage.documents_in_bucket import Haste

T = TypeVar("T")
STORE_SECONDS = 60.0  # in which STORE must have told which projects are connected


@click.command("worker")
@queues_argument
@with_settings
def worker_command(settings: Settings, queues: tuple[str, ...]) -> None:
    """Run one RQ worker. QUEUE names the queues that it takes, in order; by default al-train, al-housekeeping and al-embed.
    A worker of another version than the server, or with another network or other weights, says so and takes no job.
    The jobs of al-finetune take minutes to hours: give that queue a worker of its own.

    \b
    Examples, with a Redis of your own:
      REDIS_URL=redis://localhost:6379/0 al-backend worker
      REDIS_URL=redis://localhost:6379/0 al-backend worker al-finetune
    """
    names, work = known_queues(queues), open_work(settings)
    warm_up(settings, arithmetic=_away_from_jobs(settings, _prepare, None))

    def rearm(seconds: int) -> None:
        for project in _away_from_jobs(settings, _connected, STORE_SECONDS):
            work.wake("reconcile", project, seconds)

    rearm(SOON)  # whatever happened while no worker ran
    every, unfit = partial(rearm, settings.reconcile_seconds), partial(why_unfit, settings, work.redis)
    run_worker(work.redis, names, every, settings.log_level, unfit)
    end()


def _away_from_jobs(settings: Settings, act: Callable[[Settings], T], seconds: float | None) -> T:
    """What `act` returns: of a process of its own where there is a STORE, since no fork of one that has used it could use it
    too, and each job is a fork of this one."""
    return apart(act, settings, seconds=seconds) if settings.store else act(settings)


def _prepare(settings: Settings) -> str:
    """Have DATA_DIR or STORE ready; returns in which arithmetic networks compute."""
    take_over(settings)
    projects = projects_of(settings)
    projects.prepare()
    return projects.arithmetic()


def _connected(settings: Settings) -> list[int]:
    """The projects that are connected."""
    projects = projects_of(settings, Haste.HURRIED)
    return [project for project in projects.ids() if projects.read(project).connected]


def warm_up(settings: Settings, arithmetic: str) -> None:
    """Have ready what every job needs, so that a fork inherits it: modules, certificates, what the processor can, and the name
    of the weights, which takes reading the whole file. No tensor is computed: a fork after that would hang."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # to look for a GPU without starting CUDA
    from backend.jobs import clean, embed, finetune, mapping, migrate, reconcile, rollback, round  # noqa: F401
    from backend.project.wanted import wanted_base
    from model.networks.arithmetic import check_available
    from model.networks.backbone import backbone_name
    from model.networks.weights_file import WeightsError

    if settings.store:
        import obstore  # noqa: F401  which starts nothing until it is used
    certificates()
    with suppress(WeightsError):  # a job tells it where people look
        base = wanted_base(settings, "", arithmetic)
        backbone_name(base)
        check_available(base.arithmetic)  # brings OpenVINO
    gc.freeze()  # a job's collector need not look through all this, which would copy it
