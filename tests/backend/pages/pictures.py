"""Pages of pictures: what they show, and images that look as a test wants."""

import re

import numpy as np

from tests.model.made_up import DIMENSIONS


def shown(page):
    """The tasks of the queue, in the order of the page; those inside near-copies are not among them."""
    outside = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    return [int(task) for task in re.findall(r'/images/(\d+)"', outside)]


def place(session, tasks, vectors):
    """Give the images of `tasks` these embeddings in place of their own."""
    keys = {row.task: row.key for row in session.index.rows()}
    values, _ = session.store.get(list(keys.values()))
    where = {task: number for number, task in enumerate(keys)}
    values[[where[task] for task in tasks]] = vectors
    for shard in session.store.folder.glob("*.safetensors"):
        shard.unlink()
    session.store.add(list(keys.values()), values)
    session.store.refresh()


def unit(*numbers):
    """A vector of length 1 that begins so."""
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)
