"""A project with a version on a small real network, whose classes have odd names, and what an export makes of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from torchvision import models

from backend.bench.label_studio import label_config
from backend.export.exporting import FOLDER, export
from backend.learning.rounds import train
from backend.project.embedding import embed_tasks, unembedded
from backend.project.session import Session
from backend.records.state import Projects
from backend.settings import Settings
from tests.backend.jobs.made_up import photo
from tests.label_studio_in_memory import TOKEN, LabelStudioInMemory

CLASSES = ["=ants", "../bees", "wasps"]  # nobody labels a wasp
IMAGES, LABELLED = 12, 6
SECRET = "/data/local-files/?d=late.png&token=topsecret"


@contextmanager
def house(folder, images=IMAGES) -> Iterator[SimpleNamespace]:
    """A Label Studio with a connected project of small photos, and a session on it with a ResNet18 of random weights."""
    torch.manual_seed(0)
    torch.save(models.resnet18().state_dict(), folder / "resnet18.pth")
    with LabelStudioInMemory() as studio:
        references = [f"/data/upload/{number}.png" for number in range(images)]
        project = studio.add_project(label_config(CLASSES), references, title="Insects | <b>\nof ours")
        studio.files |= {reference: photo(number) for number, reference in enumerate(references)}
        values = {
            "label_studio_url": studio.url,
            "label_studio_api_key": TOKEN,
            "data_dir": folder / "data",
            "strategy": "random",
        }
        settings = Settings(backbone="resnet18", model_weights=folder / "resnet18.pth", **values)
        with Session(settings, project) as session:
            yield SimpleNamespace(
                studio=studio, session=session, tasks=studio.task_ids(project), folder=folder, settings=settings
            )


def learn(home) -> str:
    """What a round does but for publishing; returns the version, which is live then."""
    session = home.session
    session.sync()
    labelled, others = unembedded(session)
    embed_tasks(session, [*labelled, *others])
    known, pool = session.labelled_and_pool()
    head, metrics = train(known, pool, len(CLASSES))
    name = session.write_version(session.new_version_name(), known, head, metrics)
    with Projects(home.settings.data_dir).edit(session.project) as state:
        state.connected, state.live = True, name
    session.reread()
    return name


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with a version that has learned LABELLED labels of two annotators. Since then one image has come."""
    with house(tmp_path_factory.mktemp("house")) as home:
        for number, task in enumerate(home.tasks[:LABELLED]):
            home.studio.label(task, CLASSES[number % 2], completed_by=1 + number % 2)
        home.studio.label(home.tasks[0], CLASSES[0], completed_by=2)
        home.studio.label(home.tasks[1], CLASSES[1], completed_by=2, ground_truth=True)
        home.version = learn(home)
        home.studio._add_task(home.session.project, {"image": SECRET})
        home.studio.files["/data/local-files/"] = photo(IMAGES)
        yield home


@pytest.fixture(scope="module")
def taken(home):
    """The folder of an export with images."""
    home.exported = export(home.session, home.folder / "taken", labels=FOLDER)
    return home.folder / "taken"
