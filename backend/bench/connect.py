"""How soon annotators have a first queue after `connect`: with photos to embed, and with very many tasks."""

from collections.abc import Iterator, Sequence
from typing import Any

from backend.bench.figures import Bench, Row
from backend.bench.house import House
from backend.bench.label_studio import find_or_make_project, wait_for_tasks
from backend.bench.photos import CLASSES
from backend.labelstudio.client import LabelStudio

HOUSE = True
ROWS = ("connect.photos", "connect.tasks")
TASKS = 100_000
IMPORT = 10_000  # tasks in one request
GOAL = 5.0


def measure(bench: Bench, house: House) -> Iterator[Row]:
    """Seconds from the command `connect` to its end, which is when the first queue is published."""
    yield Row.at_most("connect.photos", house.first_queue, "s", f"{len(house.photos):,} photos of 0.3 megapixels")
    if bench.wants("connect.tasks"):
        tasks = bench.tasks
        bench.say(f"  importing {tasks} tasks, whose images are those photos ...")
        project = find_or_make_project(house.label_studio, f"{tasks} tasks", CLASSES)
        (page,) = [page for page in house.label_studio.tasks(house.project)][:1]
        images = [task["data"] for task in page]
        add_tasks(house.label_studio, project, images, tasks)
        goal = GOAL if tasks >= TASKS else None
        yield Row.at_most("connect.tasks", house.connect(project), "s", f"{tasks:,} tasks", goal)


def add_tasks(label_studio: LabelStudio, project: int, data: Sequence[Any], count: int) -> None:
    """Import `count` tasks with `data` in turn, and wait until all are there. Raises RuntimeError."""
    for start in range(0, count, IMPORT):
        body = [data[number % len(data)] for number in range(start, min(start + IMPORT, count))]
        label_studio.request("POST", f"/api/projects/{project}/import", json=body)
    wait_for_tasks(label_studio, project, count, 600)
