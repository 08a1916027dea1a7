"""`al-backend worker`: one RQ worker, in this process."""

import gc
import os
from contextlib import suppress
from functools import partial

import click

from backend.commands.shared import known_queues, open_work, queues_argument, with_settings
from backend.network.transport import certificates
from backend.project.fitting import why_unfit
from backend.project.state import Projects
from backend.queue.worker import run_worker
from backend.server.events import SOON
from backend.settings import Settings


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
    names, work, projects = known_queues(queues), open_work(settings), Projects(settings.data_dir)
    projects.prepare()
    warm_up(settings)

    def rearm(seconds: int) -> None:
        for project in projects.ids():
            if projects.read(project).connected:
                work.wake("reconcile", project, seconds)

    rearm(SOON)  # whatever happened while no worker ran
    every, unfit = partial(rearm, settings.reconcile_seconds), partial(why_unfit, settings, work.redis)
    run_worker(work.redis, names, every, settings.log_level, unfit)


def warm_up(settings: Settings) -> None:
    """Have ready what every job needs, so that a fork inherits it: modules, certificates, what the processor can, and the name
    of the weights, which takes reading the whole file. No tensor is computed: a fork after that would hang."""
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # to look for a GPU without starting CUDA
    from backend.jobs import clean, embed, finetune, mapping, migrate, reconcile, rollback, round  # noqa: F401
    from backend.project.wanted import wanted_base
    from model.arithmetic import check_available
    from model.backbone import backbone_name
    from model.weights_file import WeightsError

    certificates()
    with suppress(WeightsError):  # a job tells it where people look
        base = wanted_base(settings, "", Projects(settings.data_dir).arithmetic())
        backbone_name(base)
        check_available(base.arithmetic)  # brings OpenVINO
    gc.freeze()  # a job's collector need not look through all this, which would copy it
