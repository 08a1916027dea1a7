"""What must hold before a project is connected. Each check says what is wrong and what to do; none changes anything."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from rq import Worker

from backend.connection.answering import local_url, who_answers
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageSource
from backend.labelstudio.labelling_config import Target
from backend.labelstudio.task_data import TaskDataError
from backend.labelstudio.wiring import Wiring, webhook_host_trouble
from backend.project.wanted import wanted_base
from backend.queue.work import TRAIN, Work
from backend.records.state import Projects
from backend.settings import Settings
from model.embeddings.images import ImageError, read
from model.networks import network
from model.networks.weights_file import WeightsError
from strategies import StrategyError, try_strategy

WORKER_SECONDS = 60  # in which a worker that is just starting registers: importing torch takes long on a busy machine
FEW, MANY = 5, 20  # images that are tried; so many where none of the first can be read
CONNECTED = "CO"  # the state in which Label Studio lists an ML backend that answers it
Say = Callable[[str], None]


class CannotConnect(RuntimeError):
    """A project cannot be connected as things are; the message says why and what to do."""


def check_strategy(name: str) -> None:
    """That the strategy `name` orders a small pool. Raises CannotConnect."""
    try:
        try_strategy(name)
    except StrategyError as error:
        raise CannotConnect(f"{error}") from error


def check_backbone(settings: Settings, projects: Projects, wish: str) -> str:
    """That the network which people name as `wish` is there, with its weights, downloaded where need be. Returns `wish` with
    the whole path of its file. Raises CannotConnect."""
    try:
        spec = wanted_base(settings, wish, projects.arithmetic())
        from model.networks.torch_backbone import load_module  # imports torch

        load_module(spec)
    except WeightsError as error:
        raise CannotConnect(f"--backbone {wish}: {error}") from error
    return f"{spec.network}={spec.weights.resolve()}" if "=" in wish and spec.weights else spec.network


def check_depth(depth: str, backbone: str) -> None:
    """That a network can be retrained as deep as `depth` says, "off" for not at all. Raises CannotConnect."""
    known = network(backbone.partition("=")[0])
    if depth != "off" and not known.tunable:
        raise CannotConnect(
            f"{known.name} cannot be retrained on labels, and FINETUNE or --finetune says {depth!r}: add --finetune off."
        )


def check_address(settings: Settings) -> None:
    """That Label Studio will take BACKEND_URL for a webhook as well. Raises CannotConnect."""
    if trouble := webhook_host_trouble(settings.backend_url):
        raise CannotConnect(trouble)


def check_server(settings: Settings, identity: str, say: Say) -> None:
    """That this plugin with this DATA_DIR answers at BACKEND_URL; where only Label Studio can reach that address, that it runs
    here. Raises CannotConnect."""
    found = who_answers(settings.backend_url)
    if found.identity == identity:
        return
    if found.identity:
        raise CannotConnect(
            f"BACKEND_URL={settings.backend_url}: an active-learning plugin with another DATA_DIR answers there; here it is "
            f"{settings.data_dir}. Set PORT and BACKEND_URL to this one's, or DATA_DIR to that one's."
        )
    if found.reached:
        raise CannotConnect(
            f"BACKEND_URL={settings.backend_url}: {found.trouble}. Set PORT and BACKEND_URL to those of `al-backend up`."
        )
    if who_answers(local_url(settings.host, settings.port)).identity == identity:
        say(
            f"BACKEND_URL={settings.backend_url} cannot be reached from here ({found.trouble}): Label Studio is asked to try it"
        )
        return
    raise CannotConnect(
        f"BACKEND_URL={settings.backend_url}: {found.trouble}. Start `al-backend up` in a terminal of its own, with the "
        "same settings, and connect again."
    )


def check_worker(work: Work, say: Say) -> None:
    """That a worker takes rounds. Raises CannotConnect where none does within WORKER_SECONDS."""
    deadline, told = time.monotonic() + WORKER_SECONDS, False
    while not any(TRAIN in worker.queue_names() for worker in Worker.all(connection=work.redis)):
        if not told:
            say("Waiting for a worker to start ...")
            told = True
        if time.monotonic() > deadline:
            raise CannotConnect(f"No worker takes jobs from {TRAIN}: start `al-backend up`, or `worker` beside `serve`.")
        time.sleep(0.2)


def check_alone(wiring: Wiring, identity: str, ours: bool, say: Say) -> None:
    """That no other plugin works on the project: two would take the queue from each other every few seconds.

    An ML backend of our title at another address is asked who it is; `ours` says what it is where nobody answers. Those that
    turn out to be ours join `wiring.also`, the addresses we had before. Raises CannotConnect.
    """
    for row in wiring.twins():
        answering = who_answers(row["url"])
        if answering.identity == identity or (ours and not answering.identity):
            wiring.also.add(row["url"].rstrip("/"))
        elif answering.identity or row.get("state") == CONNECTED:
            raise CannotConnect(
                f"Project {wiring.project} is connected to another active-learning plugin, at {row['url']}: two would take the "
                "queue from each other. `disconnect` it there, or delete it under Settings > Model, and connect again."
            )
        else:
            say(f"Nobody answers at {row['url']}, which is an ML backend of this project too: delete it under Settings > Model")


def check_images(settings: Settings, label_studio: LabelStudio, project: int, target: Target) -> str:
    """Fetch and decode a few images as a worker will; returns a sentence about them, "" where there is no task.

    Raises CannotConnect where none can be read, LabelStudioError.
    """
    page: list[dict[str, Any]] = next(iter(label_studio.tasks(project)), [])
    images = ImageSource(settings, label_studio)
    problems: list[str] = []
    tried = 0
    try:
        for task in _spread(page, FEW, MANY):
            tried += 1
            try:
                read(images.fetch(task["id"], target.reference(task.get("data"))), settings.max_image_pixels)
            except (ImageError, TaskDataError) as error:
                problems.append(f"task {task['id']}: {error}")
            if tried >= FEW and len(problems) < tried:
                break
    finally:
        images.close()
    if tried and len(problems) == tried:
        raise CannotConnect(f"No image can be read, of {tried} that were tried. {problems[0]}")
    if problems:
        return f"Images: {len(problems)} of {tried} tried cannot be read; {problems[0]}"
    return f"Images: {tried} of {tried} tried can be read" if tried else ""


def _spread(tasks: Sequence[dict[str, Any]], few: int, many: int) -> list[dict[str, Any]]:
    """`few` of `tasks` evenly over all, then others, `many` at most."""
    step = max(len(tasks) // few, 1)
    first = list(islice(tasks, 0, None, step))[:few]
    chosen = {id(task) for task in first}
    return (first + [task for task in tasks if id(task) not in chosen])[:many]
